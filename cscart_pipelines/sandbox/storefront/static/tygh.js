// The shop's own script object, as far as tags and themes lean on it: Tygh.$ with the event system
// (ceEvent) and AJAX requests (ceAjax). Our own code after CS-Cart's documented names; what the
// storefront does with clicks and forms is in shop.js.
(function (Tygh) {
  'use strict';

  // --- a handful of elements: enough of jQuery's shape for what handlers are given ---------------

  function Elements(found) {
    this.length = found.length;
    for (let i = 0; i < found.length; i++) this[i] = found[i];
  }

  Elements.prototype = {
    each(visit) {
      for (let i = 0; i < this.length; i++) visit.call(this[i], i, this[i]);
      return this;
    },
    prop(name) { return this.length ? this[0][name] : undefined; },
    attr(name) {
      const value = this.length ? this[0].getAttribute(name) : null;
      return value === null ? undefined : value;
    },
    hasClass(name) { return this.length > 0 && this[0].classList.contains(name); },
    find(selector) {
      const found = [];
      this.each(function () { found.push(...this.querySelectorAll(selector)); });
      return new Elements(found);
    },
    on(type, handler) {
      return this.each(function () { this.addEventListener(type, handler); });
    },
  };

  function $(what) {
    if (what instanceof Elements) return what;
    if (typeof what === 'string') return new Elements(document.querySelectorAll(what));
    return new Elements(what ? [what] : []);
  }

  // --- events ------------------------------------------------------------------------------------

  const handlers = new Map();

  const events = {
    on(name, handler, context) {
      if (!handlers.has(name)) handlers.set(name, []);
      handlers.get(name).push({ handler, context, once: false });
    },
    one(name, handler, context) {
      events.on(name, handler, context);
      handlers.get(name).at(-1).once = true;
    },
    off(name, handler) {
      const left = (handlers.get(name) || []).filter((each) => handler && each.handler !== handler);
      handlers.set(name, left);
    },
    // A handler that throws stops the rest, as in the real shop: a tag must not.
    trigger(name, values, context) {
      for (const each of [...(handlers.get(name) || [])]) {
        if (each.once) {
          handlers.set(name, handlers.get(name).filter((other) => other !== each));
        }
        each.handler.apply(each.context || context || window, values || []);
      }
    },
  };

  $.ceEvent = function (act, ...rest) {
    return events[act](...rest);
  };

  // --- requests ----------------------------------------------------------------------------------

  // "cart_status*" stands for every element on the page whose id begins so.
  function expand(resultIds) {
    const found = [];
    for (const name of (resultIds || '').split(',').map((each) => each.trim()).filter(Boolean)) {
      if (!name.endsWith('*')) found.push(name);
      else {
        const start = CSS.escape(name.slice(0, -1));
        document.querySelectorAll(`[id^="${start}"]`).forEach((each) => found.push(each.id));
      }
    }
    return [...new Set(found)].join(',');
  }

  function show(notices) {
    const place = document.querySelector('.cm-notification-container');
    const classes = { N: 'notice', W: 'warning', E: 'error' };
    for (const notice of Object.values(notices || {})) {
      const box = document.createElement('div');
      box.className = `cm-notification-content alert alert-${classes[notice.type] || 'notice'}`;
      const title = document.createElement('strong');
      title.textContent = notice.title;
      box.append(title, ' ', notice.message);
      place.replaceChildren(box);
    }
  }

  function replace(html) {
    const changed = [];
    for (const [id, inner] of Object.entries(html || {})) {
      const place = document.getElementById(id);
      if (!place) continue;
      const wasOpen = place.querySelector('details[open]') !== null;
      place.innerHTML = inner;
      const box = place.querySelector('details');
      if (box && wasOpen) box.open = true;
      changed.push($(place));
    }
    return changed;
  }

  async function request(url, params) {
    params = params || {};
    const method = (params.method || 'get').toUpperCase();
    const body = new URLSearchParams();
    const data = params.data || {};
    const pairs = Array.isArray(data) ? data : Object.entries(data).map(([name, value]) => ({ name, value }));
    pairs.forEach((pair) => body.append(pair.name, pair.value));
    body.set('result_ids', expand(params.result_ids));
    body.set('is_ajax', '1');
    if (params.full_render) body.set('full_render', 'Y');
    const options = { method, headers: { 'X-Requested-With': 'XMLHttpRequest' } };
    let address = url;
    if (method === 'POST') options.body = body;
    else address += (url.includes('?') ? '&' : '?') + body;
    document.documentElement.classList.add('shop-busy');
    let text;
    let response;
    try {
      const answer = await fetch(new URL(address, document.baseURI), options);
      text = await answer.text();
      response = JSON.parse(text);
    } catch (problem) {
      response = { failed_request: true };
      show({ a: { type: 'E', title: 'Error', message: 'The shop does not answer.' } });
    } finally {
      document.documentElement.classList.remove('shop-busy');
    }
    if (response.force_redirection) {
      window.location.href = response.force_redirection;
      return;
    }
    const changed = replace(response.html);
    show(response.notifications);
    changed.forEach((each) => events.trigger('ce.commoninit', [each]));
    if (typeof params.callback === 'function') params.callback(response, params, text);
    else if (params.callback) events.trigger(params.callback, [response, params, text]);
    events.trigger('ce.ajaxdone', [changed, [], params, response, text]);
  }

  $.ceAjax = function (act, url, params) {
    if (act === 'request') return request(url, params);
    throw new Error(`ceAjax: ${act} is not one of: request`);
  };

  Tygh.$ = $;
  document.addEventListener('DOMContentLoaded', () => {
    events.trigger('ce.commoninit', [$(document)]);
  });
})(window.Tygh = window.Tygh || {});
