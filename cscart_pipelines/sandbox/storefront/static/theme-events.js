// A theme that sends GA4's e-commerce events: what the page shows at once, cart changes after the
// shop has confirmed them. Does nothing unless the page carries theme_data.
(function ($) {
  'use strict';

  const holder = document.getElementById('theme_data');
  if (!holder) return;
  const theme = JSON.parse(holder.textContent);
  window.dataLayer = window.dataLayer || [];

  function gtag() {
    window.dataLayer.push(arguments);
  }

  function send(event, ecommerce) {
    if (theme.style === 'gtag') {
      gtag('event', event, ecommerce);
      return;
    }
    window.dataLayer.push({ ecommerce: null });
    window.dataLayer.push({ event, ecommerce });
  }

  function basket(items) {
    const value = items.reduce((sum, each) => sum + each.price * each.quantity, 0);
    return { currency: theme.currency, value: Math.round(value * 100) / 100, items };
  }

  theme.moments.forEach((moment) => send(moment.event, moment.ecommerce));

  $.ceEvent('on', 'ce.ajaxdone', (changed, scripts, params, response) => {
    const pressed = params.obj && params.obj[0];
    if (!pressed || response.failed_request) return;
    if (pressed.dataset.themeItem) {
      send('remove_from_cart', basket([JSON.parse(pressed.dataset.themeItem)]));
      return;
    }
    const dispatch = /^dispatch\[checkout\.add\.\.(\d+)\]$/.exec(pressed.name || '');
    const item = dispatch && theme.products[dispatch[1]];
    const added = Object.values(response.notifications || {}).some((each) => each.type === 'N');
    if (!item || !added) return;
    const field = params.data.find((pair) => pair.name === `product_data[${dispatch[1]}][amount]`);
    const quantity = Math.max(1, parseInt(field ? field.value : '1', 10) || 1);
    send('add_to_cart', basket([{ ...item, quantity }]));
  });
})(Tygh.$);
