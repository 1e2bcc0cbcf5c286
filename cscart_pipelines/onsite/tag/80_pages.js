// What a page is: its dispatch where the address tells it, else its markup, because shops with
// search-friendly addresses have none there. Not here: what is done on it (shop).

function pageDispatch() {
  var told = dispatchOf(parameter('dispatch', location.href))[0];
  var shop = window.Tygh && window.Tygh.current_dispatch;
  return told || (typeof shop === 'string' ? dispatchOf(shop)[0] : '');
}

function kind() {
  var known = {
    'products.view': 'product', 'products.search': 'search', 'categories.view': 'list',
    'checkout.checkout': 'checkout', 'checkout.complete': 'complete'
  }[pageDispatch()];
  if (known) {
    return known;
  }
  if (pageDispatch() && pageDispatch() !== 'index.index') {
    return '';
  }
  if (one('.ty-checkout-complete__order-success, .checkout-complete')) {
    return 'complete';
  }
  if (one('[name="dispatch[checkout.place_order]"], [name^="litecheckout_payments_form"]')) {
    return 'checkout';
  }
  if (one('.ty-product-block, .product-main-info, meta[property="og:type"][content="product"]')) {
    return 'product';
  }
  if (one('[id^="products_search_"]') || parameter('search_performed', location.href)) {
    return 'search';
  }
  return one('[id^="category_products_"]') ||
    one('#pagination_contents form[name^="product_form_"]') ? 'list' : '';
}

// The product of a product page, '' elsewhere.
function pageProduct() {
  if (kind() !== 'product') {
    return '';
  }
  var own = parameter('product_id', location.href);
  var field = one('.ty-product-block input[name^="product_data["][name$="[product_id]"]') ||
    one('form[name^="product_form_"] input[name^="product_data["][name$="[product_id]"]');
  return own || (field ? field.value : '');
}

function listed() {
  var place = one('[id^="category_products_"], [id^="products_search_"], #pagination_contents') || document;
  var seen = {};
  var items = [];
  each(all('form[name^="product_form_"] input[name^="product_data["][name$="[product_id]"]', place),
    function (input) {
      if (!seen[input.value] && items.length < MOST_ITEMS) {
        seen[input.value] = true;
        items.push(item(input.value, 1, codeIn(input.form, input.value, input.value)));
      }
    });
  return items.filter(Boolean);
}

function orderNumber() {
  var number = parameter('order_id', location.href);
  each(all('a[href*="orders.details"], a[href*="orders.print_invoice"], a[href*="order_id="]'), function (link) {
    number = number || parameter('order_id', link.getAttribute('href'));
  });
  return /^\d{1,12}$/.test(number) ? number : undefined;
}

function tellPage() {
  tell({name: 'page_view', channel: 'page'});
}

function tellContents() {
  if (!allowed()) {
    return;
  }
  arrive();
  var product = pageProduct();
  switch (kind()) {
    case 'product':
      tell({name: 'view_item', channel: 'page', items: product ? [pageItem(product)] : undefined});
      break;
    case 'list':
      tell({name: 'view_item_list', channel: 'page', items: listed()});
      break;
    case 'search':
      tell({name: 'search', channel: 'page', items: listed(),
        term: short(parameter('q', location.href), 100)});
      break;
    case 'checkout':
      tell({name: 'begin_checkout', channel: 'page', items: cartItems(document)});
      break;
    case 'complete':
      tell({name: 'purchase', channel: 'page', order_id: orderNumber()});
      break;
    default:
  }
}

function pageItem(product) {
  return item(product, 1, codeIn(null, product, product));
}
