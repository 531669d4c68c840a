"""The schema of the database: tables in the schema ``som``, grown by numbered steps.

One rule: a step that was released is never edited; the next one changes what it made. Amounts are in the asset's minor
units (of som: tyiyn), hashes and references are bytea, times that the ledger hashes are Unix milliseconds and stand
beside a timestamptz where people read them. Tables whose rows change have room in their pages, so that indexes do not.
"""

from typing import Final

LEASE: Final = 0x736F6D2D696E6478  # the advisory lock of the one indexer: b"som-indx"

STEPS: Final[tuple[str, ...]] = (
    """
CREATE TABLE som.chain (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    genesis_hash bytea NOT NULL,
    network text NOT NULL,
    schema_version integer NOT NULL,
    height bigint NOT NULL,
    block_hash bytea,
    root bytea,
    event_cursor text
);
COMMENT ON TABLE som.chain IS
    'Which chain this is, and how far it is indexed; one row. It moves in the transaction that writes the '
    'rows.';
COMMENT ON COLUMN som.chain.height IS 'the last block whose rows are here';
COMMENT ON COLUMN som.chain.root IS 'the root after it, which a later final header names';
COMMENT ON COLUMN som.chain.event_cursor IS 'where events of any node of the network go on';

CREATE TABLE som.blocks (
    height bigint PRIMARY KEY,
    hash bytea NOT NULL UNIQUE,
    parent_hash bytea NOT NULL,
    root bytea NOT NULL,
    time_ms bigint NOT NULL,
    epoch bigint NOT NULL,
    view bigint NOT NULL,
    proposer integer NOT NULL,
    version integer NOT NULL,
    transactions integer NOT NULL,
    time timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp(time_ms / 1000.0)) STORED
);
CREATE INDEX blocks_time ON som.blocks (time);
COMMENT ON TABLE som.blocks IS 'Final blocks. Nothing in this database is of a block that is not final.';
COMMENT ON COLUMN som.blocks.root IS 'of the state and of all outcomes after the block';
COMMENT ON COLUMN som.blocks.proposer IS 'index of its leader in the committee of its epoch';
COMMENT ON COLUMN som.blocks.transactions IS 'all that it carries, also those that have no result';

CREATE TABLE som.transactions (
    id bytea PRIMARY KEY,
    height bigint NOT NULL,
    position integer NOT NULL,
    code integer NOT NULL,
    failed_op integer,
    failed_leg integer,
    skipped integer NOT NULL,
    accounts bigint[] NOT NULL,
    operations text[] NOT NULL,
    expires_ms bigint NOT NULL,
    UNIQUE (height, position)
);
COMMENT ON TABLE som.transactions IS 'Transactions that have their one result, applied or failed.';
COMMENT ON COLUMN som.transactions.code IS '0 = applied; else the code of the ledger (docs/ledger.md, section 8)';
COMMENT ON COLUMN som.transactions.skipped IS 'legs that were left out of partial payments';
COMMENT ON COLUMN som.transactions.accounts IS 'the accounts that signed';
COMMENT ON COLUMN som.transactions.operations IS 'what it asks for: pay, hold, settle, account open, ...';

CREATE TABLE som.entries (
    account bigint NOT NULL,
    number bigint NOT NULL,
    height bigint NOT NULL,
    time_ms bigint NOT NULL,
    transaction bytea NOT NULL,
    op smallint NOT NULL,
    leg integer,
    asset integer NOT NULL,
    counterparty bigint,
    amount bigint NOT NULL,
    balance bigint NOT NULL,
    ref bytea,
    time timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp(time_ms / 1000.0)) STORED,
    PRIMARY KEY (account, number)
);
CREATE INDEX entries_height ON som.entries (height);
CREATE INDEX entries_time ON som.entries (time);
CREATE INDEX entries_transaction ON som.entries (transaction);
COMMENT ON TABLE som.entries IS
    'Bookings: the statement of every account, from 0 on without a gap. In a transaction the amounts of an '
    'asset add up to 0.';
COMMENT ON COLUMN som.entries.counterparty IS
    'the other side; null for a payer whose payment had several legs: the payees'' entries have them';
COMMENT ON COLUMN som.entries.amount IS 'minor units; below 0 where money left';
COMMENT ON COLUMN som.entries.balance IS 'of the asset, after the entry';
COMMENT ON COLUMN som.entries.ref IS 'the reference as bytes: an EndToEndId, or a UETR of 16 bytes';

CREATE TABLE som.accounts (
    number bigint PRIMARY KEY,
    name text,
    kind smallint NOT NULL,
    tier smallint NOT NULL,
    bank bigint NOT NULL,
    category integer NOT NULL,
    opened bigint NOT NULL,
    closed bigint,
    entries bigint NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX accounts_bank ON som.accounts (bank);
COMMENT ON TABLE som.accounts IS 'Accounts as they are now. The chain has no names of people, and neither has this.';
COMMENT ON COLUMN som.accounts.name IS 'of institutions, as the genesis calls them';
COMMENT ON COLUMN som.accounts.kind IS 'som.kinds has their names';
COMMENT ON COLUMN som.accounts.bank IS 'the account of the bank that keeps it, 0 for none';
COMMENT ON COLUMN som.accounts.category IS 'of a merchant: ISO 18245';
COMMENT ON COLUMN som.accounts.opened IS 'height; 0 = with the genesis';

CREATE TABLE som.balances (
    account bigint NOT NULL,
    asset integer NOT NULL,
    balance bigint NOT NULL,
    held bigint NOT NULL,
    PRIMARY KEY (account, asset)
) WITH (fillfactor = 80);
COMMENT ON TABLE som.balances IS
    'What accounts have now. An issuer''s balance is what it has issued, below 0; per asset all add up to 0.';
COMMENT ON COLUMN som.balances.held IS 'the part of the balance that waits in holds and arrests';

CREATE TABLE som.holds (
    id bytea PRIMARY KEY,
    asset integer NOT NULL,
    payer bigint NOT NULL,
    settler bigint NOT NULL,
    payee bigint NOT NULL,
    amount bigint NOT NULL,
    amount_left bigint NOT NULL,
    ref bytea NOT NULL,
    until_ms bigint NOT NULL,
    height bigint NOT NULL,
    transaction bytea NOT NULL,
    op smallint NOT NULL,
    leg integer NOT NULL,
    secret_hash bytea,
    categories integer[] NOT NULL,
    not_before_ms bigint NOT NULL,
    needs_schema text,
    needs_subject text,
    revocable boolean NOT NULL,
    order_number text,
    ended bigint
);
CREATE INDEX holds_payer ON som.holds (payer);
CREATE INDEX holds_open_payer ON som.holds (payer, asset) WHERE ended IS NULL;
CREATE INDEX holds_open_until ON som.holds (until_ms, id) WHERE ended IS NULL AND until_ms > 0;
COMMENT ON TABLE som.holds IS
    'Money that waits in its payer''s balance, or waited: vouchers, swaps, conditional budget money, arrests.';
COMMENT ON COLUMN som.holds.settler IS 'who may settle it, 0 = who has the secret; of an arrest the authority';
COMMENT ON COLUMN som.holds.payee IS 'who is to be paid, 0 = whom the settler names';
COMMENT ON COLUMN som.holds.categories IS 'of the merchants that may be paid: purpose-bound money; empty = anybody';
COMMENT ON COLUMN som.holds.until_ms IS '0 = without end: an arrest';
COMMENT ON COLUMN som.holds.ended IS 'the height at which nothing was left; null while it is open';

CREATE TABLE som.hold_changes (
    hold bytea NOT NULL,
    height bigint NOT NULL,
    position integer NOT NULL,
    what text NOT NULL,
    change bigint NOT NULL,
    transaction bytea,
    op smallint,
    PRIMARY KEY (height, position)
);
CREATE INDEX hold_changes_hold ON som.hold_changes (hold);
COMMENT ON TABLE som.hold_changes IS
    'What became of holds: made, settled, released, voided, expired, lifted, seized. Up to a height they add '
    'up to what was held then.';
COMMENT ON COLUMN som.hold_changes.transaction IS 'null: the time was over, and the ledger gave it back by itself';

CREATE TABLE som.assets (
    number integer PRIMARY KEY,
    code text NOT NULL UNIQUE,
    scale smallint NOT NULL,
    issuer bigint NOT NULL,
    status smallint NOT NULL,
    max_supply bigint NOT NULL,
    reserve_account bigint,
    reserve_asset integer,
    attested_schema text,
    attested_ratio_bp integer,
    attested_age_ms bigint,
    mint_to integer NOT NULL,
    redeem_from integer NOT NULL,
    basis bytea NOT NULL,
    height bigint NOT NULL
);
COMMENT ON TABLE som.assets IS 'The register of assets. 1 is som. Supply is in som.supply.';
COMMENT ON COLUMN som.assets.scale IS 'decimal places of a whole unit';
COMMENT ON COLUMN som.assets.status IS '1 registered, 2 suspended, 3 revoked';
COMMENT ON COLUMN som.assets.reserve_account IS
    'whose balance in reserve_asset backs it one to one; null if that does not';
COMMENT ON COLUMN som.assets.attested_schema IS 'of the attestations, with the asset''s code as subject, that back it';
COMMENT ON COLUMN som.assets.mint_to IS 'bit set of the kinds of accounts to which it is issued';

CREATE TABLE som.asset_changes (
    asset integer NOT NULL,
    height bigint NOT NULL,
    position integer NOT NULL,
    status smallint NOT NULL,
    author bigint NOT NULL,
    basis bytea NOT NULL,
    transaction bytea NOT NULL,
    PRIMARY KEY (height, position)
);
COMMENT ON TABLE som.asset_changes IS 'Registrations and changes of status, with their legal basis (its hash).';

CREATE TABLE som.orders (
    authority bigint NOT NULL,
    number text NOT NULL,
    act text NOT NULL,
    target bigint NOT NULL,
    basis bytea NOT NULL,
    asset integer,
    amount bigint,
    payee bigint,
    incoming boolean NOT NULL,
    hold bytea,
    height bigint NOT NULL,
    transaction bytea NOT NULL,
    lifted bigint,
    lifted_basis bytea,
    PRIMARY KEY (authority, number)
);
CREATE INDEX orders_target ON som.orders (target);
COMMENT ON TABLE som.orders IS
    'What enforcers ordered: freeze, arrest, seize. Give this table to nobody who may not see orders.';
COMMENT ON COLUMN som.orders.incoming IS 'of a freeze: the target may not be paid either';
COMMENT ON COLUMN som.orders.lifted IS 'the height at which it was lifted';

CREATE TABLE som.attestations (
    id bytea PRIMARY KEY,
    schema text NOT NULL,
    subject text NOT NULL,
    value bigint NOT NULL,
    as_of_ms bigint NOT NULL,
    until_ms bigint NOT NULL,
    evidence bytea NOT NULL,
    author bigint NOT NULL,
    height bigint NOT NULL,
    transaction bytea NOT NULL,
    revoked bigint,
    revoked_by bigint
);
CREATE INDEX attestations_current ON som.attestations (schema, subject) WHERE revoked IS NULL;
COMMENT ON TABLE som.attestations IS
    'What is said, by who may say it, of gold, reserves, deliveries; none is ever deleted.';

CREATE TABLE som.kinds (kind smallint PRIMARY KEY, name text NOT NULL UNIQUE);
COMMENT ON TABLE som.kinds IS 'The kinds of accounts.';

CREATE VIEW som.supply AS
    SELECT asset.number AS asset, asset.code, asset.scale, coalesce(-issued.balance, 0) AS supply
    FROM som.assets asset
    LEFT JOIN som.balances issued ON issued.account = asset.issuer AND issued.asset = asset.number;
COMMENT ON VIEW som.supply IS 'What is issued of each asset.';

CREATE FUNCTION som.digits(account bigint) RETURNS text LANGUAGE sql IMMUTABLE RETURN lpad(account::text, 16, '0');
COMMENT ON FUNCTION som.digits IS 'An account as people write it.';
CREATE FUNCTION som.business_day(moment timestamptz) RETURNS date LANGUAGE sql IMMUTABLE
    RETURN (moment AT TIME ZONE interval '6 hours')::date;
COMMENT ON FUNCTION som.business_day IS 'The calendar day in Kyrgyzstan, which the ledger counts by.';
""",
)
VERSION: Final = len(STEPS)
