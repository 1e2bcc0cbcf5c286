// What is done in the shop: posted forms, dispatch[...] buttons, delete links, their AJAX answers.
// Something posted is only planned until the shop has answered: an error notice means that it did
// not happen. When the page is left before the answer it counts all the same, except what is true only
// if it succeeded (a login, an account, a subscription): that needs a notice of success, in the answer
// or on the next page.
// Names of forms, fields and events are CS-Cart's. Passwords and payment fields are never read.

var ACTIONS = {
  'checkout.add': 'add_to_cart',
  'checkout.delete': 'remove_from_cart',
  'checkout.clear': 'remove_from_cart',
  'checkout.place_order': 'place_order',
  'checkout.add_profile': 'sign_up',
  'wishlist.add': 'add_to_wishlist',
  'auth.login': 'login',
  'profiles.update': 'profile_update',
  'newsletters.add_subscriber': 'subscribe',
  'em_subscribers.update': 'subscribe',
  'newsletters.unsubscribe': 'unsubscribe',
  'em_subscribers.unsubscribe': 'unsubscribe'
};
var NEEDS_SUCCESS = {login: 1, sign_up: 1, profile_update: 1, subscribe: 1, unsubscribe: 1};
var WAITS = 30 * SECOND; // for an answer
var posts = []; // planned: name, channels, items, identity, from, to, form or link, ajax
var clicked = null;
var hooked = {};
var lastAnswer = null;

// 'dispatch[checkout.add..12]', 'checkout.add..12' or an address -> ['checkout.add', '12']
function dispatchOf(text) {
  text = String(text || '');
  var found = /dispatch(?:\[|%5B)([\w.]+)/i.exec(text);
  var word = found ? found[1] : /[?&]/.test(text) ? parameter('dispatch', text) : text;
  var parts = word.split('.');
  return /^[\w.]+$/.test(word) ? [parts[0] + '.' + (parts[1] || ''), parts[3] || ''] : ['', ''];
}

function onClick(event) {
  if (!allowed()) {
    return;
  }
  var target = upwards(event.target, function (element) {
    return /^(A|BUTTON|INPUT)$/.test(element.tagName) || element.getAttribute('data-ca-dispatch');
  });
  if (!target || (event.button && event.button > 0) || event.ctrlKey || event.metaKey) {
    return;
  }
  clicked = {element: target, at: now()};
  if (dispatchOf(target.getAttribute('href'))[0] === 'auth.logout') {
    identity = null;
  }
  if (hasClass(target, 'cm-submit')) {
    plan(formOf(target), target.getAttribute('data-ca-dispatch') || target.name, target, event);
  } else if (target.tagName === 'A') {
    planLink(target, event);
  }
}

function onSubmit(event) {
  if (!allowed()) {
    return;
  }
  var form = event.target;
  var button = event.submitter;
  if (!button && clicked && now() - clicked.at < SECOND && formOf(clicked.element) === form) {
    button = clicked.element;
  }
  button = button || one('[type=submit][name^="dispatch"]', form);
  var hidden = one('input[name="dispatch"]', form);
  var name =
    (button && (button.getAttribute('data-ca-dispatch') || button.name)) ||
    (hidden && hidden.value) || form.getAttribute('action');
  plan(form, /dispatch/.test(name) || !hidden ? name : hidden.value, button, event);
}

function formOf(element) {
  var named = element.getAttribute('form') || element.getAttribute('data-ca-target-form');
  return (
    element.form ||
    (named && (document.getElementById(named) || one('form[name="' + named + '"]'))) ||
    upwards(element, function (above) {
      return above.tagName === 'FORM';
    })
  );
}

function plan(form, text, button, event) {
  var dispatch = dispatchOf(text);
  var name = ACTIONS[dispatch[0]];
  if (!name || !form || dispatch[0] === 'checkout.delete') {
    return;
  }
  if (name === 'profile_update' && isRegistration(form)) {
    name = 'sign_up';
  }
  if (name === 'place_order') {
    keepBuyer(form);
    return;
  }
  var twice = false;
  each(posts, function (post) {
    twice = twice || (post.form === form && post.name === name && now() - post.from < AT_ONCE);
  });
  if (twice) {
    return;
  }
  hookShop();
  hookForm(form.getAttribute('name'));
  hold({
    name: name,
    dispatch: dispatch[0],
    form: form,
    formName: form.getAttribute('name'),
    ajax:
      (hasClass(form, 'cm-ajax') || hasClass(button, 'cm-ajax')) && !hasClass(button, 'cm-no-ajax'),
    items: /^add_to/.test(name) ? formItems(form, dispatch[1]) : undefined,
    identity: /^add_to/.test(name) ? null : formIdentity(form)
  }, event);
}

function planLink(link, event) {
  var address = link.getAttribute('href') || '';
  var name = ACTIONS[dispatchOf(address)[0]];
  if (name !== 'remove_from_cart' && name !== 'unsubscribe') {
    return;
  }
  hookShop();
  hold({
    name: name,
    dispatch: dispatchOf(address)[0],
    link: link,
    ajax: hasClass(link, 'cm-ajax'),
    items: name === 'unsubscribe' ? undefined : removedItems(link, address),
    identity: name === 'unsubscribe' ? identityOf(parameter('email', address)) : null
  }, event);
}

function hold(post, event) {
  post.channel = 'hook';
  post.channels = {hook: true};
  post.page = page();
  post.from = now();
  post.to = now() + WAITS;
  posts.push(post);
  setTimeout(safely(function () {
    // Stopped by a check of the form, or by a "no" to the question whether one is sure.
    if ((event.defaultPrevented && !post.ajax) || isFaulty(post) || (post.ajax && isIdle())) {
      settle(post, false);
    }
  }), 0);
  setTimeout(safely(function () {
    // No answer was heard: what another channel has told as well is believed.
    settle(post, Object.keys(post.channels).length > 1 && !isFaulty(post));
  }), WAITS);
}

// The shop says that no request of its own is under way.
function isIdle() {
  var $ = window.Tygh && window.Tygh.$;
  try {
    return $.ceAjax('inProgress') === false;
  } catch (error) {
    return false;
  }
}

function isFaulty(post) {
  return !!post.form && !!one('.cm-failed-field', post.form);
}

function settle(post, happened) {
  var place = posts.indexOf(post);
  if (place < 0) {
    return;
  }
  posts.splice(place, 1);
  if (happened) {
    post.to = now();
    if (NEEDS_SUCCESS[post.name] && post.identity) {
      identity = post.identity;
    }
    tell(post);
  }
}

// --- the shop's own events

function hookShop() {
  var $ = window.Tygh && window.Tygh.$;
  if (!$ || typeof $.ceEvent !== 'function' || hooked['ce.ajaxdone']) {
    return;
  }
  hooked['ce.ajaxdone'] = true;
  $.ceEvent('on', 'ce.ajaxdone', safely(function (elements, scripts, params, data) {
    answer(params || {}, data);
  }));
  if (typeof $ === 'function' && $.fn && $.fn.on) {
    $(document).on('ajaxError', safely(function (event, request, settings) {
      var sent = String(settings && settings.url) + '&' + String(settings && settings.data);
      each(posts.slice(), function (post) {
        if (post.ajax && post.dispatch === dispatchOf(sent)[0]) {
          settle(post, false);
        }
      });
    }));
  }
}

function hookForm(name) {
  var $ = window.Tygh && window.Tygh.$;
  if (!name || !$ || typeof $.ceEvent !== 'function' || hooked['form ' + name]) {
    return;
  }
  hooked['form ' + name] = true;
  $.ceEvent('on', 'ce.formajaxpost_' + name, safely(function (data) {
    settleFirst(data, function (post) {
      return post.formName === name;
    });
  }));
}

function answer(params, data) {
  var form = params.form && (params.form[0] || params.form);
  var link = params.obj && (params.obj[0] || params.obj);
  var formName = form && form.getAttribute ? form.getAttribute('name') : null;
  var address = params.original_url || params.url || '';
  settleFirst(data, function (post) {
    if (post.formName) {
      return formName === post.formName;
    }
    if (link && link.nodeType) {
      return link === post.link;
    }
    return address ? sameQuery(address, post.link.getAttribute('href')) : !form;
  });
  if (allowed() && dispatchOf(address)[0] === 'products.quick_view') {
    tell({name: 'view_item', channel: 'hook', items: [item(parameter('product_id', address))]});
  }
}

function sameQuery(one, other) {
  return parameter('cart_id', one) === parameter('cart_id', other) &&
    dispatchOf(one)[0] === dispatchOf(other)[0];
}

function settleFirst(data, fits) {
  if (!allowed() || data === lastAnswer) {
    return; // one answer is told by two events
  }
  for (var i = 0; i < posts.length; i++) {
    if (posts[i].ajax && fits(posts[i])) {
      lastAnswer = data;
      settle(posts[i], wentWell(data, NEEDS_SUCCESS[posts[i].name] && !showsEntry(posts[i].name)));
      return;
    }
  }
}

// An error notice, or a warning without a word of success: out of stock is one of these. What is
// `doubted` needs the word of success; an answer without any notice is enough for the rest.
function wentWell(data, doubted) {
  var types = '';
  var notices = (data && data.notifications) || {};
  each(Object.keys(notices), function (key) {
    types += (notices[key] && notices[key].type) || '';
  });
  if (!data || data.failed_request || data.error || types.indexOf('E') >= 0) {
    return false;
  }
  return /[NIS]/.test(types) || (!doubted && types.indexOf('W') < 0);
}

// Whether the page itself shows that a login or a registration has gone well.
function showsEntry(name) {
  return (name === 'login' && isLoggedIn()) ||
    (name === 'sign_up' &&
      (isLoggedIn() || pageDispatch() === 'profiles.success_add' || !!one('.ty-success-registration')));
}

// --- leaving and arriving

function leave() {
  if (!allowed()) {
    return;
  }
  var later = [];
  each(posts.slice(), function (post) {
    var happened = now() - post.from < WAITS && !isFaulty(post);
    if (happened && NEEDS_SUCCESS[post.name]) {
      later.push({name: post.name, identity: post.identity, from: post.from, page: post.page});
      happened = false;
    }
    settle(post, happened);
  });
  if (later.length) {
    keepIn('sessionStorage', 'later', later);
  }
  packRecent();
}

// A page without any notice says nothing: the shop may have failed, or not even been asked.
function arrive() {
  var later = recall('sessionStorage', 'later');
  drop('sessionStorage', 'later');
  if (!(later instanceof Array) || !later.length || wentBack()) {
    return;
  }
  var bad = one('.cm-notification-content.alert-error, .notification-e');
  var good = one('.cm-notification-content.alert-success, .cm-notification-content.alert-notice, ' +
    '.cm-notification-content.alert-info, .notification-n');
  each(later, function (post) {
    if (bad || !(good || showsEntry(post.name)) || !(now() - post.from < 300 * SECOND)) {
      return;
    }
    identity = post.identity || identity;
    tell({name: post.name, channel: 'hook', identity: post.identity, from: post.from, page: post.page});
  });
}

// Notices of a page that one goes back to are older than what was posted from it.
function wentBack() {
  return !!window.performance && !!performance.navigation && performance.navigation.type === 2;
}
