// What forms, links and rows say: products, quantities, the e-mail address. Only the fields named
// here are read. Not here: when they are read (shop, pages).

// Products of a form with product_data[...]; `only` is the number in the button's name.
function formItems(form, only) {
  var items = [];
  each(all('input[name^="product_data["][name$="[product_id]"]', form), function (input) {
    var key = /^product_data\[([\w]+)\]/.exec(input.name);
    if (!key || (only && key[1] !== only)) {
      return;
    }
    var amount = one('[name="product_data[' + key[1] + '][amount]"]', form);
    items.push(item(input.value, amount ? amount.value : 1, codeIn(form, key[1], input.value)));
  });
  if (!items.length && only) {
    items.push(item(only, 1, codeIn(form, only, only)));
  }
  return items.filter(Boolean).slice(0, MOST_ITEMS);
}

function item(productId, quantity, code) {
  var found = {sku: short(code, 64), quantity: Math.max(1, parseInt(quantity, 10) || 1)};
  if (/^\d{1,12}$/.test(productId)) {
    found.product_id = String(productId);
  }
  return found.sku || found.product_id ? found : null;
}

// The product code that the theme shows: in or around the form, or on the product's own page.
function codeIn(form, key, productId) {
  var named = form && /^product_form_(\w+)$/.exec(form.getAttribute('name') || '');
  var shown = document.getElementById('product_code_' + key) ||
    (named && document.getElementById('product_code_' + named[1])) ||
    (pageProduct() === String(productId) &&
      one('.ty-product-block [itemprop="sku"], meta[itemprop="sku"], [itemprop="sku"]'));
  return shown ? shown.getAttribute('content') || shown.textContent : undefined;
}

// The row of a delete link: cart page, mini-cart or checkout.
function removedItems(link, address) {
  var id = parameter('cart_id', address);
  if (dispatchOf(address)[0] === 'checkout.clear') {
    return cartItems(document);
  }
  var input = one('input[name="cart_products[' + id + '][product_id]"]');
  var row = upwards(link, function (element) {
    return !!one('a[href*="product_id="], input[name$="[product_id]"]', element) && element !== link;
  });
  if (input) {
    return [cartItem(id, input)].filter(Boolean);
  }
  var product = row && one('a[href*="product_id="]', row);
  var pieces = row && /(?:^|\s)(\d+)\s*[x×]|[x×]\s*(\d+)/.exec(row.textContent);
  var found = product && item(
    parameter('product_id', product.getAttribute('href')), pieces ? pieces[1] || pieces[2] : 1);
  return found ? [found] : undefined;
}

function cartItems(within) {
  var items = [];
  each(all('input[name^="cart_products["][name$="[product_id]"]', within), function (input) {
    items.push(cartItem(/\[(\w+)\]/.exec(input.name)[1], input));
  });
  return items.filter(Boolean).slice(0, MOST_ITEMS);
}

function cartItem(id, input) {
  var amount = one('[name="cart_products[' + id + '][amount]"]');
  var row = upwards(input, function (element) {
    return element.tagName === 'TR' || hasClass(element, 'ty-cart-content__product-elem');
  });
  var code = (row && one('.ty-cart-content__sku span, [id^="product_code_"]', row)) ||
    document.getElementById('product_code_' + id);
  return item(input.value, amount ? amount.defaultValue || amount.value : 1, code && code.textContent);
}

// The address in a form of login, registration, profile or newsletter.
function formIdentity(form) {
  var field = one(
    'input[name="user_login"], input[name="subscribe_email"], input[name="user_data[email]"], ' +
    'input[name="subscriber_data[email]"], input[name="email"]', form);
  return field ? identityOf(field.value) : null;
}

function isRegistration(form) {
  return /register/.test(form.getAttribute('name') || '') ||
    pageDispatch() === 'profiles.add' ||
    (!!one('input[name="user_data[password1]"]', form) && !isLoggedIn() &&
      !one('input[name="profile_id"]:not([value=""])', form));
}

function isLoggedIn() {
  return !!one('a[href*="auth.logout"], a[href*="auth/logout"]');
}

// Who is ordering is known from the form, that it was ordered from the completion page. Kept for
// an unknown person too: it says that the order was placed under the visitor's consent.
function keepBuyer(form) {
  var who = formIdentity(form);
  if (!who) {
    var field = one('input[name="user_data[email]"]');
    who = field ? identityOf(field.value) : null;
  }
  keepIn('sessionStorage', 'buyer', {identity: who || takeBuyer(), at: now()});
}

function buyer() {
  var kept = recall('sessionStorage', 'buyer');
  return kept && now() - kept.at < 3600 * SECOND ? kept : null;
}

function takeBuyer() {
  var kept = buyer();
  drop('sessionStorage', 'buyer');
  return kept ? kept.identity : null;
}
