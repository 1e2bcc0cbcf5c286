// The tag runner's variables: what {{a reference}} is worth at a moment, and how it is written into
// scripts, text and conditions. A moment is {name, model}: an event and the data layer at that time.

const version = JSON.parse(document.getElementById('tag_container').textContent).containerVersion;
const containerId = (version.container && version.container.publicId) || 'GTM-SANDBOX';
const variables = new Map((version.variable || []).map((each) => [each.name, each]));
const builtIns = new Map((version.builtInVariable || []).map((each) => [each.name, each.type]));

const BUILT_IN = {
  PAGE_URL: () => location.href,
  PAGE_PATH: () => location.pathname,
  PAGE_HOSTNAME: () => location.hostname,
  REFERRER: () => document.referrer,
  EVENT: (moment) => moment.name,
};

export function parameter(entity, key) {
  const found = (entity.parameter || []).find((each) => each.key === key);
  return found ? found.value : undefined;
}

export function flag(entity, key) {
  return parameter(entity, key) === 'true';
}

export function lookup(root, path) {
  return path.split('.').reduce((at, key) => (at === undefined || at === null ? undefined : at[key]), root);
}

const kept = []; // values that scripts reach by number: objects and functions

function cookie(name, decode) {
  for (const part of document.cookie.split(';')) {
    const at = part.indexOf('=');
    if (part.slice(0, at).trim() === name) {
      const value = part.slice(at + 1);
      return decode ? decodeURIComponent(value) : value;
    }
  }
  return undefined;
}

const KINDS = {
  c: (variable) => parameter(variable, 'value'),
  v(variable, moment) {
    if (String(parameter(variable, 'dataLayerVersion')) !== '2') throw new Error('only data layer version 2');
    const found = lookup(moment.model, parameter(variable, 'name'));
    if (found !== undefined) return found;
    return flag(variable, 'setDefaultValue') ? parameter(variable, 'defaultValue') : undefined;
  },
  k: (variable) => cookie(parameter(variable, 'name'), flag(variable, 'decodeCookie')),
  j: (variable) => lookup(window, parameter(variable, 'name')),
  jsm(variable, moment, asking) {
    const code = intoScript(parameter(variable, 'javascript'), moment, asking);
    return (0, eval)(`(${code})()`); // what a Custom JavaScript variable is
  },
};

export function valueOf(name, moment, asking) {
  if (name === '_event') return moment.name;
  if (asking.includes(name)) throw new Error(`variable ${name} needs itself`);
  if (builtIns.has(name)) {
    const read = BUILT_IN[builtIns.get(name)];
    if (!read) throw new Error(`unknown built-in variable ${builtIns.get(name)}`);
    return read(moment);
  }
  const variable = variables.get(name);
  if (!variable) throw new Error(`there is no variable {{${name}}}`);
  if (!KINDS[variable.type]) throw new Error(`unknown type of variable ${variable.type} (${name})`);
  if (Object.keys(variable.formatValue || {}).length) throw new Error(`format of ${name} is not known here`);
  return KINDS[variable.type](variable, moment, [...asking, name]);
}

export const REFERENCE = /\{\{([^{}]+)\}\}/g;

// In conditions: a text that is one reference keeps the value's type, others become text.
export function fill(text, moment) {
  const alone = /^\{\{([^{}]+)\}\}$/.exec(text);
  if (alone) return valueOf(alone[1].trim(), moment, []);
  return text.replace(REFERENCE, (_, name) => String(valueOf(name.trim(), moment, [])));
}

function insideString(value) {
  const hex = (char) => {
    const code = char.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
  };
  return String(value).replace(/[\u0000-\u001f"'&/<=>\\`$\u0085\u2028\u2029]/g, hex);
}

function literal(value) {
  if (value === undefined) return 'undefined';
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return ` ${value} `;
  if (typeof value === 'string') return `'${insideString(value)}'`;
  kept.push(value);
  return `google_tag_manager[${JSON.stringify(containerId)}].macro(${kept.length - 1})`;
}

window.google_tag_manager = window.google_tag_manager || {};
window.google_tag_manager[containerId] = { macro: (number) => kept[number] };

// A token of JavaScript that may hide or hold a reference: comments, strings, regular expressions.
const TOKEN = /\/\/[^\n]*|\/\*[^]*?\*\/|"(?:\\[^]|[^"\\\n])*"|'(?:\\[^]|[^'\\\n])*'|`(?:\\[^]|[^`\\])*`|\{\{[^{}]+\}\}|\/|[^]/;
const REGEX = /^\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/;

// References in code become values, references within quotes become escaped text.
export function intoScript(code, moment, asking) {
  const value = (name) => valueOf(name.trim(), moment, asking || []);
  let out = '';
  let before = ''; // the last character that is not white space: decides what a slash means
  const reader = new RegExp(TOKEN, 'g'); // its own place in the code: variables ask for variables
  for (let match = reader.exec(code); match; match = reader.exec(code)) {
    let token = match[0];
    if (token === '/' && (before === '' || '(,=:[!&|?{};+-*%<>~^'.includes(before) || /(?:return|typeof)\s*$/.test(out))) {
      const found = REGEX.exec(code.slice(match.index));
      if (found) {
        token = found[0];
        reader.lastIndex = match.index + token.length;
      }
    }
    if (token.startsWith('{{')) out += literal(value(token.slice(2, -2)));
    else if (/^["'`]/.test(token)) out += token.replace(REFERENCE, (_, name) => insideString(value(name)));
    else out += token;
    if (token.trim() && !token.startsWith('//') && !token.startsWith('/*')) before = token.trim().at(-1);
  }
  return out;
}

export function escapeHtml(value) {
  const node = document.createElement('div');
  node.textContent = String(value);
  return node.innerHTML.replace(/"/g, '&quot;');
}
