// What is kept in the browser, after consent only: the visitor's anonymous id (13 months), events
// that could not be delivered yet (3 days), and what one page tells the next one of the same tab.
// All names begin alike, so that a withdrawal finds everything. Not here: what is in it.

var PREFIX = 'cscart_pipelines_' + OPTIONS.integration + '_';
var VISITOR_LASTS = 395 * DAY;
var visitor = null;

function recall(area, name) {
  try {
    return JSON.parse(window[area].getItem(PREFIX + name));
  } catch (error) {
    return null; // blocked, or not ours
  }
}

function keepIn(area, name, value) {
  try {
    window[area].setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch (error) {
    return false;
  }
}

function drop(area, name) {
  try {
    window[area].removeItem(PREFIX + name);
  } catch (error) {
    // Blocked: then nothing is there.
  }
}

function visitorId() {
  if (visitor) {
    return visitor;
  }
  var kept = recall('localStorage', 'visitor');
  if (kept && isId(kept.id) && kept.until > now()) {
    visitor = kept.id;
    return visitor;
  }
  var cookie = readCookie();
  visitor = isId(cookie) ? cookie : randomId();
  if (!keepIn('localStorage', 'visitor', {id: visitor, until: now() + VISITOR_LASTS})) {
    if (!cookie) {
      writeCookie(visitor, VISITOR_LASTS / SECOND);
    }
  }
  return visitor;
}

function isId(text) {
  return typeof text === 'string' && /^[A-Za-z0-9_-]{16,64}$/.test(text);
}

function readCookie() {
  var found = '';
  each(document.cookie.split(';'), function (part) {
    var pair = part.split('=');
    if (pair[0].trim() === PREFIX + 'visitor') {
      found = (pair[1] || '').trim();
    }
  });
  return found;
}

function writeCookie(value, seconds) {
  document.cookie =
    PREFIX + 'visitor=' + value + '; path=/; max-age=' + seconds + '; SameSite=Lax' +
    (location.protocol === 'https:' ? '; Secure' : '');
}

function forgetEverythingStored() {
  visitor = null;
  each(['localStorage', 'sessionStorage'], function (area) {
    try {
      var names = [];
      for (var i = 0; i < window[area].length; i++) {
        names.push(window[area].key(i));
      }
      each(names, function (name) {
        if (name.indexOf(PREFIX) === 0) {
          window[area].removeItem(name);
        }
      });
    } catch (error) {
      // Blocked: then nothing is there.
    }
  });
  if (readCookie()) {
    writeCookie('', 0);
  }
}
