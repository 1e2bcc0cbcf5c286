// The data layer: consent commands, and GA4 events as themes and add-ons push them, as objects or
// as gtag's arguments. Its push is wrapped and answers as before. Not here: what follows from it.

var GA4 = {
  page_view: 'page_view', view_item: 'view_item', view_item_list: 'view_item_list',
  search: 'search', view_search_results: 'search', add_to_cart: 'add_to_cart',
  remove_from_cart: 'remove_from_cart', add_to_wishlist: 'add_to_wishlist',
  begin_checkout: 'begin_checkout', purchase: 'purchase', login: 'login', sign_up: 'sign_up'
};
// Of what was pushed before the consent, only what the page is may be told after it: one of each
// name, on these kinds of page, and a purchase only if it was ordered under the consent.
var FACTS = {
  page_view: /./, view_item: /product|other/, view_item_list: /./, search: /search|other/,
  begin_checkout: /checkout|other/, purchase: /complete|other/
};
var before = []; // entries that were pushed with consent, but before the script was there
var facts = {}; // entries that were pushed without it while the page was loading, by name
var late = false; // the consent was not there when the page began
var withdrawn = false; // nothing is collected until a new consent

function listen() {
  var layer = (window.dataLayer = window.dataLayer || []);
  var push = layer.push;
  var loaded = false;
  each(layer, function (entry) {
    loaded = loaded || (!!entry && entry.event === 'gtm.load');
    hearEarlier(entry, loaded);
  });
  layer.push = function () {
    var answer = push.apply(layer, arguments);
    safely(hearAll)(arguments);
    return answer;
  };
}

function hearAll(entries) {
  each(entries, function (entry) {
    if (isCommand(entry) && entry[0] === 'consent') {
      hearConsent(entry[1], entry[2]);
      lookAgain();
    } else if (measuring) {
      hear(entry);
    } else {
      noteFact(entry, document.readyState === 'complete');
    }
  });
}

function hearEarlier(entry, loaded) {
  if (isCommand(entry) && entry[0] === 'consent') {
    hearConsent(entry[1], entry[2]);
  } else if ((said.update || said['default']) === 'granted') {
    before.push(entry);
  } else {
    late = late || !!wordOf(entry);
    noteFact(entry, loaded);
  }
}

// What comes after the page has loaded is an action of the visitor: a quick view, a filter.
function noteFact(entry, loaded) {
  var word = wordOf(entry);
  var name = word && GA4.hasOwnProperty(word) ? GA4[word] : '';
  if (FACTS[name] && !loaded && !withdrawn) {
    facts[name] = entry;
  }
}

function forgetBefore() {
  withdrawn = true;
  late = true;
  before = [];
  facts = {};
}

function hearBefore() {
  var entries = before;
  before = [];
  each(entries, hear);
}

function hearFacts() {
  var entries = facts;
  facts = {};
  each(Object.keys(entries), function (name) {
    if (FACTS[name].test(kind() || 'other') && (name !== 'purchase' || buyer())) {
      hear(entries[name]);
    }
  });
}

// The event that an entry tells, '' when it tells none.
function wordOf(entry) {
  if (!entry || typeof entry !== 'object') {
    return '';
  }
  var word = isCommand(entry) ? (entry[0] === 'event' ? entry[1] : '') : entry.event;
  return typeof word === 'string' ? word : '';
}

function isCommand(entry) {
  return !!entry && typeof entry === 'object' && typeof entry[0] === 'string' && entry.length > 0;
}

function hear(entry) {
  var word = wordOf(entry);
  if (word && isCommand(entry)) {
    hearGa4(word, entry[2] || {}, 'gtag');
  } else if (word) {
    hearGa4(word, entry, 'object');
  }
}

function hearGa4(event, values, channel) {
  var name = GA4.hasOwnProperty(event) ? GA4[event] : '';
  if (!name || !allowed()) {
    return;
  }
  var commerce = values.ecommerce || values.eventModel || values;
  var order = commerce.transaction_id || values.transaction_id;
  tell({
    name: name,
    channel: channel,
    items: ga4Items(commerce.items || values.items),
    order_id: name === 'purchase' ? orderOf(order) : undefined,
    term: name === 'search' ? short(values.search_term || commerce.search_term, 100) : undefined
  });
}

function orderOf(id) {
  id = short(id, 64);
  return id && /^[\w-]{1,32}$/.test(id) ? id : orderNumber();
}

// item_id is the product code in most themes, the product's number in some.
function ga4Items(list) {
  var items = [];
  each(list instanceof Array ? list.slice(0, MOST_ITEMS) : [], function (one) {
    var id = one && (one.item_id || one.id);
    if (id) {
      var isNumber = /^\d+$/.test(id) && document.querySelector(
        'input[name^="product_data["][name$="[product_id]"][value="' + id + '"], ' +
        'input[name^="cart_products["][name$="[product_id]"][value="' + id + '"]');
      items.push(isNumber ? item(id, one.quantity) : item('', one.quantity, id));
    }
  });
  items = items.filter(Boolean);
  return items.length ? items : undefined;
}
