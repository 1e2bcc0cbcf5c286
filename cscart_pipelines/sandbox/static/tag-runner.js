// Runs a Google Tag Manager container file on the sandbox's pages, without Google and without a
// network: the parts of the format that our own file uses, and nothing beyond. Whatever it does not
// know is an error, in window.tagRunner.errors and on the page, never silently skipped.
//
// window.tagRunner: ready, events, fired, held (by consent), errors, variable(name), consent(type).
(function () {
  'use strict';

  const ALL_PAGES = '2147479553'; // the trigger that every container has without listing it
  const BUILT_IN = {
    PAGE_URL: () => location.href,
    PAGE_PATH: () => location.pathname,
    PAGE_HOSTNAME: () => location.hostname,
    REFERRER: () => document.referrer,
    EVENT: (moment) => moment.name,
  };
  const LIFE_EVENTS = { PAGEVIEW: 'gtm.js', DOM_READY: 'gtm.dom', WINDOW_LOADED: 'gtm.load' };

  const runner = { ready: false, events: [], fired: [], held: [], errors: [] };
  window.tagRunner = runner;

  function report(where, problem) {
    const message = problem instanceof Error ? problem.message : String(problem);
    runner.errors.push({ where, message });
    console.error(`tag runner: ${where}: ${message}`);
    draw();
  }

  window.addEventListener('error', (event) => report('script', event.message || 'failed to load'));
  window.addEventListener('unhandledrejection', (event) => report('script', event.reason));

  // --- the container file ------------------------------------------------------------------------

  const version = JSON.parse(document.getElementById('tag_container').textContent).containerVersion;
  const containerId = (version.container && version.container.publicId) || 'GTM-SANDBOX';
  const variables = new Map((version.variable || []).map((each) => [each.name, each]));
  const builtIns = new Map((version.builtInVariable || []).map((each) => [each.name, each.type]));
  const triggers = new Map((version.trigger || []).map((each) => [each.triggerId, each]));
  triggers.set(ALL_PAGES, { triggerId: ALL_PAGES, name: 'All Pages', type: 'PAGEVIEW' });

  function parameter(entity, key) {
    const found = (entity.parameter || []).find((each) => each.key === key);
    return found ? found.value : undefined;
  }

  function flag(entity, key) {
    return parameter(entity, key) === 'true';
  }

  // --- the data layer ----------------------------------------------------------------------------

  const model = {};

  function plain(value) {
    return Object.prototype.toString.call(value) === '[object Object]';
  }

  // Objects and lists are merged key by key, everything else replaces what was there.
  function merge(from, to) {
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

  function lookup(root, path) {
    return path.split('.').reduce((at, key) => (at === undefined || at === null ? undefined : at[key]), root);
  }

  // --- consent -----------------------------------------------------------------------------------

  const consents = {};
  const listeners = [];

  function consentCommand(act, states) {
    if (act !== 'default' && act !== 'update') {
      report('consent', `unknown command ${act}`);
      return;
    }
    for (const [type, state] of Object.entries(states || {})) {
      if (type === 'wait_for_update' || type === 'region') continue;
      consents[type] = consents[type] || {};
      consents[type][act] = state === 'granted';
      if (act === 'update') {
        listeners.filter((each) => each.types.includes(type)).forEach((each) => each.handler(type, state === 'granted'));
      }
    }
  }

  function consentState(type) {
    const known = consents[type];
    if (!known) return undefined;
    return known.update === undefined ? known.default : known.update;
  }

  // Where tags look for it at the real thing: 1 granted, 2 denied, 0 nobody said anything.
  window.google_tag_data = window.google_tag_data || {};
  window.google_tag_data.ics = {
    entries: consents,
    getConsentState(type) {
      const state = consentState(type);
      return state === undefined ? 0 : state ? 1 : 2;
    },
    addListener(types, handler) { listeners.push({ types, handler }); },
  };

  // Like Tag Manager: a page that never set a consent type has not denied it either.
  function lacking(tag) {
    const settings = tag.consentSettings || {};
    const status = settings.consentStatus || 'NOT_SET';
    if (status === 'NOT_SET' || status === 'NOT_NEEDED') return [];
    if (status !== 'NEEDED') throw new Error(`unknown consentStatus ${status}`);
    const types = settings.consentType && settings.consentType.list;
    if (!types || !types.length) throw new Error('consent is needed, but of no type');
    return types.map((each) => each.value).filter((type) => consentState(type) === false);
  }

  // --- variables ---------------------------------------------------------------------------------

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

  function valueOf(name, moment, asking) {
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

  const REFERENCE = /\{\{([^{}]+)\}\}/g;

  // In conditions: a text that is one reference keeps the value's type, others become text.
  function fill(text, moment) {
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
  function intoScript(code, moment, asking) {
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

  function escapeHtml(value) {
    const node = document.createElement('div');
    node.textContent = String(value);
    return node.innerHTML.replace(/"/g, '&quot;');
  }

  // --- triggers ----------------------------------------------------------------------------------

  const COMPARE = {
    EQUALS: (left, right) => left === right,
    CONTAINS: (left, right) => left.includes(right),
    STARTS_WITH: (left, right) => left.startsWith(right),
    ENDS_WITH: (left, right) => left.endsWith(right),
    MATCH_REGEX: (left, right, ignoreCase) => new RegExp(right, ignoreCase ? 'i' : '').test(left),
  };

  function holds(condition, moment) {
    const compare = COMPARE[condition.type];
    if (!compare) throw new Error(`unknown condition ${condition.type}`);
    const [left, right] = ['arg0', 'arg1'].map((key) => String(fill(parameter(condition, key), moment)));
    const truth = compare(left, right, flag(condition, 'ignore_case'));
    return flag(condition, 'negate') ? !truth : truth;
  }

  function pulled(trigger, moment) {
    if (trigger.type === 'CUSTOM_EVENT') {
      const filter = trigger.customEventFilter || [];
      if (filter.length !== 1 || parameter(filter[0], 'arg0') !== '{{_event}}') {
        throw new Error(`trigger ${trigger.name}: expected exactly one condition on {{_event}}`);
      }
      if (!holds(filter[0], moment)) return false;
    } else if (!LIFE_EVENTS[trigger.type]) {
      throw new Error(`unknown type of trigger ${trigger.type} (${trigger.name})`);
    } else if (moment.name !== LIFE_EVENTS[trigger.type]) {
      return false;
    }
    return (trigger.filter || []).every((condition) => holds(condition, moment));
  }

  function someTrigger(ids, moment) {
    return (ids || []).some((id) => {
      if (!triggers.has(id)) throw new Error(`there is no trigger ${id}`);
      return pulled(triggers.get(id), moment);
    });
  }

  // --- tags --------------------------------------------------------------------------------------

  const KNOWN_OPTIONS = ['ONCE_PER_EVENT', 'ONCE_PER_LOAD', 'UNLIMITED'];
  const waiting = []; // insertions that need a body

  function insert(name, html) {
    const box = document.createElement('template');
    box.innerHTML = html;
    const holder = document.createElement('div');
    holder.hidden = true;
    holder.dataset.tag = name;
    document.body.append(holder);
    for (const node of [...box.content.childNodes]) {
      if (node.nodeName !== 'SCRIPT') {
        if (node.querySelector && node.querySelector('script')) throw new Error('a script inside another element');
        holder.append(node);
        continue;
      }
      if (node.src) throw new Error('a script from elsewhere: this runner has no network');
      const script = document.createElement('script'); // a parsed one would not run
      for (const attribute of node.attributes) script.setAttribute(attribute.name, attribute.value);
      script.textContent = node.textContent;
      holder.append(script);
    }
  }

  function place(name, html) {
    waiting.push([name, html]);
    flush();
  }

  function flush() {
    if (!document.body) {
      setTimeout(flush, 5);
      return;
    }
    while (waiting.length) {
      const [name, html] = waiting.shift();
      try {
        insert(name, html);
      } catch (problem) {
        report(`tag ${name}`, problem);
      }
    }
  }

  // Scripts of the tag get code, everything else text; both from the source, before it is parsed.
  function rendered(html, moment) {
    const parts = html.split(/(<script\b[^>]*>[^]*?<\/script>)/i);
    return parts.map((part, index) => {
      if (index % 2 === 0) return part.replace(REFERENCE, (_, name) => escapeHtml(valueOf(name.trim(), moment, [])));
      const [, open, code, close] = /^(<script\b[^>]*>)([^]*?)(<\/script>)$/i.exec(part);
      return open + intoScript(code, moment) + close;
    }).join('');
  }

  function fire(tag, moment) {
    if (tag.type !== 'html') throw new Error(`unknown type of tag ${tag.type}`);
    const option = tag.tagFiringOption || 'ONCE_PER_EVENT';
    if (!KNOWN_OPTIONS.includes(option)) throw new Error(`unknown tagFiringOption ${option}`);
    for (const key of ['setupTag', 'teardownTag', 'scheduleStartMs', 'scheduleEndMs']) {
      if (tag[key] !== undefined) throw new Error(`${key} is not known here`);
    }
    if (option === 'ONCE_PER_LOAD' && runner.fired.some((each) => each.tagId === tag.tagId)) return;
    const seen = { tag: tag.name, tagId: tag.tagId, event: moment.name };
    const missing = lacking(tag);
    if (missing.length) {
      runner.held.push({ ...seen, missing });
      return;
    }
    runner.fired.push(seen);
    place(tag.name, rendered(parameter(tag, 'html') || '', moment));
  }

  function priority(tag) {
    return tag.priority ? parseInt(tag.priority.value, 10) : 0;
  }

  const tags = [...(version.tag || [])].sort((one, other) => priority(other) - priority(one));

  function happen(name) {
    // A variable asked for now must see what is there now, whatever is pushed meanwhile.
    const moment = { name, model: structure(model) };
    current = moment;
    runner.events.push({ event: name });
    for (const tag of tags) {
      try {
        if (tag.paused) continue;
        if (!someTrigger(tag.firingTriggerId, moment)) continue;
        if (someTrigger(tag.blockingTriggerId, moment)) continue;
        fire(tag, moment);
      } catch (problem) {
        report(`tag ${tag.name}`, problem);
      }
    }
    draw();
  }

  // A copy of objects and lists; what is neither (elements, functions) stays itself.
  function structure(value) {
    if (Array.isArray(value)) return value.map(structure);
    if (!plain(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, structure(inner)]));
  }

  // --- messages ----------------------------------------------------------------------------------

  let current = { name: '', model };

  function commands(values) {
    const [verb, name, more] = values;
    if (verb === 'consent') consentCommand(name, more);
    else if (verb === 'event') message({ event: name, eventModel: more || {} });
    else if (verb === 'set') merge(typeof name === 'string' ? { [name]: more } : name, model);
    else if (verb !== 'js' && verb !== 'config' && verb !== 'get') report('data layer', `unknown command ${verb}`);
  }

  function message(given) {
    if (Object.prototype.toString.call(given) === '[object Arguments]') return commands(given);
    if (typeof given === 'function') {
      return given.call({ get: (path) => lookup(model, path), set: (key, value) => merge({ [key]: value }, model) });
    }
    if (!plain(given)) return report('data layer', `cannot read ${Object.prototype.toString.call(given)}`);
    delete model.eventModel;
    merge(given, model);
    if (typeof given.event === 'string' && given.event) happen(given.event);
    return undefined;
  }

  // Messages are worked off one after the other, also those that a tag pushes while it runs.
  const queue = [];
  let working = false;

  function work() {
    if (working) return;
    working = true;
    while (queue.length) {
      try {
        message(queue.shift());
      } catch (problem) {
        report('data layer', problem);
      }
    }
    working = false;
  }

  const layer = (window.dataLayer = window.dataLayer || []);
  queue.push(...layer);
  // Whoever wraps push afterwards (a tag) still reaches this one.
  const push = layer.push;
  layer.push = function () {
    const length = push.apply(layer, arguments);
    queue.push(...arguments);
    work();
    return length;
  };

  // --- on the page -------------------------------------------------------------------------------

  function draw() {
    if (!document.body || document.readyState === 'loading') return;
    let panel = document.getElementById('tag_runner');
    if (!panel) {
      panel = document.createElement('section');
      panel.id = 'tag_runner';
      panel.className = 'tag-runner';
      document.body.append(panel);
    }
    const list = document.createElement('ol');
    const line = (text, kind) => {
      const item = document.createElement('li');
      item.className = kind;
      item.textContent = text;
      list.append(item);
    };
    runner.fired.forEach((each) => line(`${each.event} → ${each.tag}`, 'fired'));
    runner.held.forEach((each) => line(`${each.event} → ${each.tag}: no consent (${each.missing})`, 'held'));
    runner.errors.forEach((each) => line(`${each.where}: ${each.message}`, 'error'));
    const title = document.createElement('h2');
    title.textContent = `Tag runner: ${runner.fired.length} fired, ${runner.held.length} held, ${runner.errors.length} errors`;
    panel.replaceChildren(title, list);
  }

  // --- begin -------------------------------------------------------------------------------------

  runner.variable = (name) => valueOf(name, current, []);
  runner.consent = consentState;
  if ((version.customTemplate || []).length) report('container', 'custom templates are not known here');

  work();
  const domReady = () => {
    layer.push({ event: 'gtm.dom' });
    draw();
  };
  const loaded = () => {
    layer.push({ event: 'gtm.load' });
    runner.ready = true;
  };
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', domReady);
  else domReady();
  // In a task of its own: "complete" comes just before the load event, whose handlers go first.
  if (document.readyState === 'complete') setTimeout(loaded, 0);
  else window.addEventListener('load', () => setTimeout(loaded, 0));
})();
