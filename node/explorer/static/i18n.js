/** Words in Kyrgyz, Russian and English: flat JSON, English where one is missing, data never translated. */

export const LANGUAGES = ["ky", "ru", "en"];
const STORED = "som-language";

/** The language: of ?lang, else what was chosen before, else the first of the browser's that we have. */
export function chooseLanguage(search, stored, browsers) {
  const asked = [new URLSearchParams(search).get("lang"), stored, ...browsers.map((name) => name.slice(0, 2).toLowerCase())];
  return asked.find((name) => LANGUAGES.includes(name)) ?? "en";
}

export const remembered = () => localStorage.getItem(STORED);
export const remember = (language) => localStorage.setItem(STORED, language);

/** The words of a language: t("key", {name: value}). A key that nobody has is shown as it is, and told to `missing`. */
export async function loadWords(language, missing = (key) => console.error(`no words for ${key}`)) {
  const read = async (name) => (await fetch(`i18n/${name}.json`)).json();
  const [words, english] = await Promise.all([read(language), read("en")]);
  return (key, values = {}) => {
    const text = words[key] ?? english[key];
    if (text === undefined) {
      missing(key);
      return key;
    }
    return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  };
}
