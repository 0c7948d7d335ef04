// What a widget keeps in the browser.

/**
 * Values in localStorage under a prefix, as JSON. Every call says whether it worked:
 * there may be no storage (private windows, some files and frames), or no room left in
 * it. What another hand put there is for the caller to check.
 */
function makeStore(prefix) {
  const attempt = (action) => {
    try {
      return action(window.localStorage) ?? true;
    } catch {
      return false;
    }
  };
  const parse = (content) => {
    try {
      return JSON.parse(content);
    } catch {
      return null;
    }
  };
  return {
    save: (name, value) =>
      attempt((storage) => storage.setItem(prefix + name, JSON.stringify(value))),
    remove: (name) => attempt((storage) => storage.removeItem(prefix + name)),
    /** Pairs of a name and its value, in no order. */
    load: () =>
      attempt((storage) =>
        Object.keys(storage)
          .filter((key) => key.startsWith(prefix))
          .map((key) => [key.slice(prefix.length), parse(storage.getItem(key))]),
      ) || [],
  };
}
