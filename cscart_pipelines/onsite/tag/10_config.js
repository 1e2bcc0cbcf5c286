// What the file in Tag Manager sets, and small tools. Old JavaScript (ES5) on purpose: Tag Manager
// refuses newer syntax in custom HTML. Not here: consent, storage, sending, what the shop does.

var COLLECTOR = '@collector@';
var WRITE_KEY = '@write_key@';
var OPTIONS = readOptions('@options@');
var ADDRESS = COLLECTOR.replace(/\/+$/, '') + '/v1/events/' + WRITE_KEY;

var SECOND = 1000;
var DAY = 86400 * SECOND;
var MOST_ITEMS = 50;

// "integration=shop; raw_email=no" as an object.
function readOptions(text) {
  var found = {};
  var parts = String(text).split(';');
  for (var i = 0; i < parts.length; i++) {
    var pair = parts[i].split('=');
    if (pair.length === 2) {
      found[pair[0].trim()] = pair[1].trim();
    }
  }
  return found;
}

// The shop's page never sees an error of ours, and a handler of ours never stops another's.
function safely(work) {
  return function () {
    try {
      work.apply(this, arguments);
    } catch (error) {
      // Tracking must not disturb the page.
    }
  };
}

function now() {
  return new Date().getTime();
}

function each(list, work) {
  for (var i = 0; list && i < list.length; i++) {
    work(list[i], i);
  }
}

function one(selector, within) {
  return (within || document).querySelector(selector);
}

function all(selector, within) {
  return (within || document).querySelectorAll(selector);
}

function hasClass(element, name) {
  return !!element && (' ' + element.getAttribute('class') + ' ').indexOf(' ' + name + ' ') >= 0;
}

// The nearest element, itself included, for which the test holds.
function upwards(element, test) {
  while (element && element.nodeType === 1) {
    if (test(element)) {
      return element;
    }
    element = element.parentNode;
  }
  return null;
}

// One line of at most so many characters; undefined when there is nothing.
function short(text, most) {
  text = String(text === undefined || text === null ? '' : text).replace(/\s+/g, ' ').trim();
  return text ? text.slice(0, most) : undefined;
}

// One parameter of an address, '' when it is not there.
function parameter(name, address) {
  var query = String(address).split('#')[0].split('?').slice(1).join('?');
  var parts = query.split('&');
  for (var i = 0; i < parts.length; i++) {
    var pair = parts[i].split('=');
    try {
      if (decodeURIComponent(pair[0]) === name) {
        return decodeURIComponent(pair.slice(1).join('=').replace(/\+/g, ' '));
      }
    } catch (error) {
      // Not written as it should be: not ours to read.
    }
  }
  return '';
}

// 22 characters of [A-Za-z0-9_-], that is 132 random bits.
function randomId() {
  var letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-';
  var numbers = [];
  var i;
  var source = window.crypto || window.msCrypto;
  if (source && source.getRandomValues) {
    numbers = new Uint8Array(22);
    source.getRandomValues(numbers);
  } else {
    for (i = 0; i < 22; i++) {
      numbers.push(Math.floor(Math.random() * 256));
    }
  }
  var id = '';
  for (i = 0; i < 22; i++) {
    id += letters.charAt(numbers[i] & 63);
  }
  return id;
}

// How many bytes a text takes as UTF-8.
function sizeOf(text) {
  var bytes = 0;
  for (var i = 0; i < text.length; i++) {
    var code = text.charCodeAt(i);
    bytes += code < 0x80 ? 1 : code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 2 : 3;
  }
  return bytes;
}
