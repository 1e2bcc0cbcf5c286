// From the queue to the collector. While the page lives, by fetch, because its answer says whether
// the events arrived; when the page goes, by beacon. Both as text/plain, which needs no question
// beforehand. What may not have arrived is kept and sent again with the same ids: the collector
// takes each id once. Not here: which events there are (events), who it was (identity).

var MOST_EVENTS = 50;
var MOST_BYTES = 60000;
var MOST_KEPT = 200;
var KEPT_LASTS = 3 * DAY;
var PAUSE = 2 * SECOND;

var queue = []; // {e: event, i: identity or null}
var underway = null;
var timer = null;
var failures = 0;
var refused = false; // the collector does not take this key: nothing more is sent from this page

function enqueue(event, who) {
  queue.push({e: event, i: who || null});
  wake(PAUSE);
}

function wake(after) {
  if (timer === null) {
    timer = setTimeout(safely(function () {
      timer = null;
      send();
    }), after);
  }
}

function send() {
  if (!allowed() || refused || underway) {
    return;
  }
  if (heldUp()) {
    putAside(queue.splice(0));
    wake(heldUp());
    return;
  }
  takeKept();
  var batch = nextBatch();
  if (batch) {
    post(batch);
  }
}

// The page goes, or may: nothing waits for an answer any more.
function sendLast() {
  if (!allowed() || refused) {
    return;
  }
  if (underway) {
    putAside(underway.events);
  }
  if (failures || heldUp()) {
    putAside(queue.splice(0));
    return;
  }
  var batch = nextBatch();
  while (batch) {
    beacon(batch.body);
    putAside(batch.events);
    batch = nextBatch();
  }
}

function beacon(body) {
  try {
    if (navigator.sendBeacon && navigator.sendBeacon(ADDRESS, body)) {
      return;
    }
    if (window.fetch && outlives(body)) {
      window.fetch(ADDRESS, request(body)).then(null, function () {});
    }
  } catch (error) {
    // It is kept anyway.
  }
}

function request(body) {
  return {
    method: 'POST', mode: 'cors', credentials: 'omit', keepalive: outlives(body), body: body,
    headers: {'Content-Type': 'text/plain;charset=UTF-8'}
  };
}

// Whether a request goes on when its page is left. All such requests of a page may have 64 KB
// together, and a browser refuses those that are too many.
function outlives(body) {
  return sizeOf(body) <= MOST_BYTES / 2;
}

function post(batch) {
  underway = batch;
  if (!window.fetch) {
    underway = null;
    beacon(batch.body);
    putAside(batch.events);
    return;
  }
  window.fetch(ADDRESS, request(batch.body)).then(
    safely(function (answer) {
      answered(batch, answer.status, answer.headers.get('Retry-After'));
    }),
    safely(function () {
      answered(batch, 0, null);
    })
  );
}

function answered(batch, status, retryAfter) {
  underway = null;
  if (!allowed()) {
    return; // withdrawn meanwhile
  }
  if (status === 0 || status === 408 || status === 429 || status >= 500) {
    failures++;
    if (/^\d{1,5}$/.test(retryAfter || '')) {
      keepIn('localStorage', 'not_before', now() + retryAfter * SECOND);
    }
    putAside(batch.events);
    wake(Math.max(Math.min(Math.pow(2, failures), 300) * SECOND, heldUp()));
    return;
  }
  failures = 0;
  arrived(batch.events);
  if (status === 401 || status === 403 || status === 404 || status === 410) {
    refused = true;
    forgetQueue();
    drop('localStorage', 'kept');
    return;
  }
  if (queue.length) {
    send();
  }
}

// Milliseconds for which the collector has asked not to be asked.
function heldUp() {
  var wait = (recall('localStorage', 'not_before') || 0) - now();
  return wait > 0 && wait < DAY ? wait : 0;
}

// Up to 50 events of one identity, below the size that a browser still sends when the page goes.
function nextBatch() {
  var events = [];
  var body = '';
  while (queue.length && events.length < MOST_EVENTS && alike(queue[0].i, (events[0] || queue[0]).i)) {
    var longer = write(events.concat([queue[0]]));
    if (sizeOf(longer) > MOST_BYTES) {
      if (events.length) {
        break;
      }
      queue.shift(); // alone too large: never to be delivered
      continue;
    }
    events.push(queue.shift());
    body = longer;
  }
  return events.length ? {events: events, body: body} : null;
}

function alike(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

function write(events) {
  var batch = {v: 1, sent_at: now(), visitor: visitorId(), events: []};
  if (events[0].i) {
    batch.identity = events[0].i;
  }
  each(events, function (one) {
    batch.events.push(one.e);
  });
  return JSON.stringify(batch);
}

// --- kept: events without an acknowledgement. What goes with its page is among it, because a
// beacon has no answer; the next page sends it once more, and the collector knows it by its id.

function putAside(events) {
  if (events.length) {
    keep(without(recall('localStorage', 'kept'), events).concat(events));
  }
}

function arrived(events) {
  keep(without(recall('localStorage', 'kept'), events));
}

function takeKept() {
  queue = without(recall('localStorage', 'kept'), queue).concat(queue);
  drop('localStorage', 'kept');
}

function keep(list) {
  if (list.length) {
    keepIn('localStorage', 'kept', list.slice(-MOST_KEPT));
  } else {
    drop('localStorage', 'kept');
  }
}

// Those that are not too old, less some.
function without(list, events) {
  var known = {};
  each(events, function (one) {
    known[one.e.id] = true;
  });
  return fresh(list).filter(function (one) {
    return !known[one.e.id];
  });
}

function fresh(list) {
  return (list instanceof Array ? list : []).filter(function (one) {
    return one && one.e && one.e.at > now() - KEPT_LASTS;
  });
}

function forgetQueue() {
  queue = [];
  clearTimeout(timer);
  timer = null;
}
