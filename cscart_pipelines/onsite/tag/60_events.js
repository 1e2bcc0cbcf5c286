// Deduplicates events reported by several channels: the shop's hooks, its pages, a theme's GA4
// objects, gtag's commands. A channel reports an event once, so the same report from another channel
// within NEAR is the same event, and from the same channel another one.
// Not here: how the channels are read.

var NEAR = 3 * SECOND; // two channels may be this far apart
var AT_ONCE = 500; // repeats within this time are one event
var ABOUT_THE_PAGE = {page_view: 1, view_item: 1, view_item_list: 1, search: 1, begin_checkout: 1};
var recent = []; // events reported on this page
var CHECKOUT_LASTS = 1800 * SECOND;

// A report: name, channel (hook, page, object, gtag), and where they apply items, order_id, term,
// from and to (client time in ms: between these it happened), identity.
function tell(report) {
  if (!allowed()) {
    return;
  }
  report.from = report.from || now();
  report.to = report.to || now();
  report.place = page();
  if (report.name === 'purchase' && !report.order_id) {
    return;
  }
  var twin = find(recent, report) || find(posts, report);
  if (twin) {
    twin.channels[report.channel] = true;
    complete(twin, report);
    return;
  }
  if (report.name === 'purchase' && late && kind() === 'complete' && !buyer()) {
    return; // ordered before the consent, which was given on the completion page
  }
  report.channels = report.channels || {};
  report.channels[report.channel] = true;
  recent.push(report);
  if (recent.length > 60) {
    recent.shift();
  }
  if (report.name === 'begin_checkout') {
    var last = recall('sessionStorage', 'checkout');
    keepIn('sessionStorage', 'checkout', now());
    if (last && now() - last < CHECKOUT_LASTS) {
      return; // the checkout page of the checkout that was told already
    }
  }
  if (report.name === 'purchase') {
    drop('sessionStorage', 'checkout');
    report.identity = report.identity || takeBuyer();
  }
  report.event = eventOf(report);
  enqueue(report.event, report.identity || identity);
}

function eventOf(report) {
  return {
    // A completion page that is loaded again tells the same event.
    id: report.name === 'purchase'
      ? 'order-' + sha256(WRITE_KEY + ' ' + report.order_id).slice(0, 40)
      : randomId(),
    name: report.name,
    at: report.from,
    page: report.page || page(),
    referrer: referrer(),
    items: report.items && report.items.length ? report.items : undefined,
    order_id: report.order_id,
    term: report.term,
    source: report.channel === 'hook' || report.channel === 'page' ? report.channel : 'ga4'
  };
}

function find(known, report) {
  for (var i = known.length - 1; i >= 0; i--) {
    if (known[i].name === report.name && same(known[i], report)) {
      return known[i];
    }
  }
  return null;
}

function same(old, young) {
  if (old.identity && young.identity && old.identity.email_sha256 !== young.identity.email_sha256) {
    return false;
  }
  if (old.name === 'purchase') {
    return old.order_id === young.order_id;
  }
  if (ABOUT_THE_PAGE[old.name] && old.place === young.place) {
    if (old.name === 'search') {
      return lower(old.term) === lower(young.term);
    }
    if (old.name === 'page_view' || old.name === 'begin_checkout') {
      return true;
    }
    // What the page itself shows has one name only, whatever a theme calls its products.
    return !!old.channels.page || young.channel === 'page' || compare(old, young) !== false;
  }
  if (ABOUT_THE_PAGE[old.name]) {
    return false;
  }
  if (old.channels[young.channel]) {
    return young.from - old.to < AT_ONCE && JSON.stringify(old.items) === JSON.stringify(young.items);
  }
  return young.from <= old.to + NEAR && young.to >= old.from - NEAR && compare(old, young) !== false;
}

// Whether two lists of items are about the same products; null where nothing can be compared.
function compare(old, young) {
  var answer = null;
  each(['product_id', 'sku'], function (name) {
    var known = {};
    var any = false;
    each(old.items, function (one) {
      if (one[name]) {
        any = known[' ' + lower(one[name])] = true;
      }
    });
    each(any && young.items, function (one) {
      if (one[name]) {
        answer = answer || known[' ' + lower(one[name])] === true;
      }
    });
  });
  return answer;
}

function lower(text) {
  return String(text === undefined ? '' : text).toLowerCase();
}

// What one channel knows and the other did not; what has been sent cannot be corrected.
function complete(twin, report) {
  var target = twin.event || twin;
  if (!twin.items && report.items) {
    twin.items = target.items = report.items;
  } else if (twin.items && report.items && twin.items.length === 1 && report.items.length === 1) {
    twin.items[0].sku = twin.items[0].sku || report.items[0].sku;
    twin.items[0].product_id = twin.items[0].product_id || report.items[0].product_id;
  }
  twin.identity = twin.identity || report.identity;
}

// Address of the page without anything personal: path, and the dispatch where it is in the query.
function page() {
  var dispatch = parameter('dispatch', location.href);
  return (location.pathname + (/^[\w.]+$/.test(dispatch) ? '?dispatch=' + dispatch : '')).slice(0, 300);
}

function referrer() {
  var found = /^https?:\/\/([^\/?#@:]+)/.exec(document.referrer || '');
  return found ? found[1].toLowerCase().slice(0, 200) : undefined;
}

function forgetReports() {
  recent = [];
  posts = [];
}

// --- from one page of the tab to the next

// A theme may push on the next page what this page's form has done.
function packRecent() {
  var list = [];
  each(recent, function (one) {
    if (!ABOUT_THE_PAGE[one.name] && now() - one.to < 5 * NEAR) {
      list.push({name: one.name, items: one.items, channels: one.channels, from: one.from,
        order_id: one.order_id, identity: one.identity});
    }
  });
  keepIn('sessionStorage', 'recent', list);
}

function unpackRecent() {
  each(recall('sessionStorage', 'recent'), function (one) {
    if (one && one.channels && now() - one.from < 10 * NEAR) {
      one.to = now() + NEAR;
      recent.push(one);
    }
  });
  drop('sessionStorage', 'recent');
}
