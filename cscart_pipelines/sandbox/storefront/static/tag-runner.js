// Runs a Google Tag Manager container file on the sandbox's pages, without Google and without a
// network: the parts of the format that our own file uses, and nothing beyond. Whatever it does not
// know is an error, in window.tagRunner.errors and on the page, never silently skipped. Variables are
// in tag-values.js, consent in tag-consent.js.
//
// window.tagRunner: ready, events, fired, held (by consent), errors, variable(name), consent(type).

import { consentCommand, consentState, lacking } from './tag-consent.js';
import { draw } from './tag-panel.js';
import { merge, plain, structure } from './tag-layer.js';
import { escapeHtml, fill, flag, intoScript, lookup, parameter, REFERENCE, valueOf } from './tag-values.js';

const ALL_PAGES = '2147479553'; // the trigger that every container has without listing it
const LIFE_EVENTS = { PAGEVIEW: 'gtm.js', DOM_READY: 'gtm.dom', WINDOW_LOADED: 'gtm.load' };

const runner = { ready: false, events: [], fired: [], held: [], errors: [] };
window.tagRunner = runner;

function report(where, problem) {
  const message = problem instanceof Error ? problem.message : String(problem);
  runner.errors.push({ where, message });
  console.error(`tag runner: ${where}: ${message}`);
  draw(runner);
}

window.addEventListener('error', (event) => report('script', event.message || 'failed to load'));
window.addEventListener('unhandledrejection', (event) => report('script', event.reason));

// --- the container file ------------------------------------------------------------------------

const version = JSON.parse(document.getElementById('tag_container').textContent).containerVersion;
const triggers = new Map((version.trigger || []).map((each) => [each.triggerId, each]));
triggers.set(ALL_PAGES, { triggerId: ALL_PAGES, name: 'All Pages', type: 'PAGEVIEW' });

// --- the data layer ----------------------------------------------------------------------------

const model = {};

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
  const html = rendered(parameter(tag, 'html') || '', moment);
  runner.fired.push(seen);
  place(tag.name, html);
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
  draw(runner);
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
// A tag that wraps push afterwards still reaches this one.
const push = layer.push;
layer.push = function () {
  const length = push.apply(layer, arguments);
  queue.push(...arguments);
  work();
  return length;
};

// --- begin -------------------------------------------------------------------------------------

runner.variable = (name) => valueOf(name, current, []);
runner.consent = consentState;
if ((version.customTemplate || []).length) report('container', 'custom templates are not known here');

work();
const domReady = () => {
  layer.push({ event: 'gtm.dom' });
  draw(runner);
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
