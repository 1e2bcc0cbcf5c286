// The data layer: consent commands, and GA4 events as themes and add-ons push them, as objects or
// as gtag's arguments. Its push is wrapped and answers as before. Not here: what follows from it.

var GA4 = {
  page_view: 'page_view', view_item: 'view_item', view_item_list: 'view_item_list',
  search: 'search', view_search_results: 'search', add_to_cart: 'add_to_cart',
  remove_from_cart: 'remove_from_cart', add_to_wishlist: 'add_to_wishlist',
  begin_checkout: 'begin_checkout', purchase: 'purchase', login: 'login', sign_up: 'sign_up'
};
var DEED_WORDS = {add_to_cart: 1, remove_from_cart: 1, add_to_wishlist: 1, login: 1, sign_up: 1};
var before = []; // GA4 entries from before the measuring began: [entry, consented then]

function listen() {
  var layer = (window.dataLayer = window.dataLayer || []);
  var push = layer.push;
  each(layer, hearEarlier);
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
      before.push([entry, false]);
    }
  });
}

function hearEarlier(entry) {
  if (isCommand(entry) && entry[0] === 'consent') {
    hearConsent(entry[1], entry[2]);
  } else {
    before.push([entry, (said.update || said['default']) === 'granted']);
  }
}

// What the page is counts whenever it was pushed; what was done before the consent does not.
function hearBefore() {
  var entries = before;
  before = [];
  each(entries, function (pair) {
    hear(pair[0], !pair[1]);
  });
}

function isCommand(entry) {
  return !!entry && typeof entry === 'object' && typeof entry[0] === 'string' && entry.length > 0;
}

function hear(entry, pageOnly) {
  if (!entry || typeof entry !== 'object') {
    return;
  }
  if (isCommand(entry)) {
    if (entry[0] === 'event') {
      hearGa4(entry[1], entry[2] || {}, 'gtag', pageOnly);
    }
  } else if (typeof entry.event === 'string') {
    hearGa4(entry.event, entry, 'object', pageOnly);
  }
}

function hearGa4(event, values, channel, pageOnly) {
  var name = GA4.hasOwnProperty(event) ? GA4[event] : '';
  if (!name || (pageOnly && DEED_WORDS[name]) || !allowed()) {
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
