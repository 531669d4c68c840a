/** The JavaScript client of a digital som node, whole: no dependencies, no build. */

export * from "./codec.js";
export * from "./encoding.js";
export * from "./format.js";
export * from "./health.js";
export * from "./rpc.js";
export * from "./signing.js";
export * from "./transaction.js";
