// What happened, each once, however many tell it: the shop's hooks, its pages, a theme's GA4
// objects, gtag's commands. A channel tells a happening once, so the same tale from another channel
// at about the same time is the same happening, and from the same channel another one.
// Not here: how the channels are heard.

var NEAR = 3 * SECOND; // two channels may be this far apart
var AT_ONCE = 500; // nobody does the same thing twice in this time
var ABOUT_THE_PAGE = {page_view: 1, view_item: 1, view_item_list: 1, search: 1, begin_checkout: 1};
var recent = []; // happenings told on this page
var CHECKOUT_LASTS = 1800 * SECOND;

// A happening: name, channel (hook, page, object, gtag), and where they apply items, order_id, term,
// from and to (client time in ms: between these it happened), identity.
function tell(happening) {
  if (!allowed()) {
    return;
  }
  happening.from = happening.from || now();
  happening.to = happening.to || now();
  happening.place = page();
  if (happening.name === 'purchase' && !happening.order_id) {
    return;
  }
  var twin = find(recent, happening) || find(posts, happening);
  if (twin) {
    twin.channels[happening.channel] = true;
    complete(twin, happening);
    return;
  }
  if (happening.name === 'purchase' && late && kind() === 'complete' && !buyer()) {
    return; // ordered before the consent, which was given on the completion page
  }
  happening.channels = happening.channels || {};
  happening.channels[happening.channel] = true;
  recent.push(happening);
  if (recent.length > 60) {
    recent.shift();
  }
  if (happening.name === 'begin_checkout') {
    var last = recall('sessionStorage', 'checkout');
    keepIn('sessionStorage', 'checkout', now());
    if (last && now() - last < CHECKOUT_LASTS) {
      return; // the checkout page of the checkout that was told already
    }
  }
  if (happening.name === 'purchase') {
    drop('sessionStorage', 'checkout');
    happening.identity = happening.identity || takeBuyer();
  }
  happening.event = eventOf(happening);
  enqueue(happening.event, happening.identity || identity);
}

function eventOf(happening) {
  return {
    // A completion page that is loaded again tells the same event.
    id: happening.name === 'purchase'
      ? 'order-' + sha256(WRITE_KEY + ' ' + happening.order_id).slice(0, 40)
      : randomId(),
    name: happening.name,
    at: happening.from,
    page: happening.page || page(),
    referrer: referrer(),
    items: happening.items && happening.items.length ? happening.items : undefined,
    order_id: happening.order_id,
    term: happening.term,
    source: happening.channel === 'hook' || happening.channel === 'page' ? happening.channel : 'ga4'
  };
}

function find(known, happening) {
  for (var i = known.length - 1; i >= 0; i--) {
    if (known[i].name === happening.name && same(known[i], happening)) {
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

// What one channel knows and the other did not; what has been sent cannot be mended.
function complete(twin, happening) {
  var target = twin.event || twin;
  if (!twin.items && happening.items) {
    twin.items = target.items = happening.items;
  } else if (twin.items && happening.items && twin.items.length === 1 && happening.items.length === 1) {
    twin.items[0].sku = twin.items[0].sku || happening.items[0].sku;
    twin.items[0].product_id = twin.items[0].product_id || happening.items[0].product_id;
  }
  twin.identity = twin.identity || happening.identity;
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

function forgetHappenings() {
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
