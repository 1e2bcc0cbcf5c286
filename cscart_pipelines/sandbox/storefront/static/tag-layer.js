// How the tag runner's data layer keeps what it is told: merging, and copies of a moment.

export function plain(value) {
  return Object.prototype.toString.call(value) === '[object Object]';
}

// Objects and lists are merged key by key, everything else replaces what was there.
export function merge(from, to) {
  for (const key of Object.keys(from)) {
    if (key === '__proto__') continue;
    const value = from[key];
    if (Array.isArray(value)) {
      if (!Array.isArray(to[key])) to[key] = [];
      merge(value, to[key]);
    } else if (plain(value)) {
      if (!plain(to[key])) to[key] = {};
      merge(value, to[key]);
    } else if (value !== undefined) {
      to[key] = value;
    }
  }
}

// A copy of objects and lists; what is neither (elements, functions) stays itself.
export function structure(value) {
  if (Array.isArray(value)) return value.map(structure);
  if (!plain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, structure(inner)]));
}
