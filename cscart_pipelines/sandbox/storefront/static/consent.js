// The consent banner: remembers the choice in a cookie and tells the data layer, as consent
// platforms do: gtag's update first, then an event that tags may wait for.
(function () {
  'use strict';

  const banner = document.getElementById('consent_banner');
  if (!banner) return;

  function choose(state) {
    document.cookie = `shop_consent=${state}; path=/; max-age=15552000; SameSite=Lax`;
    banner.hidden = true;
    window.gtag('consent', 'update', { analytics_storage: state });
    window.dataLayer.push({ event: 'consent_update', analytics_storage: state });
  }

  document.getElementById('consent_grant').addEventListener('click', () => choose('granted'));
  document.getElementById('consent_deny').addEventListener('click', () => choose('denied'));
  document.getElementById('consent_settings').addEventListener('click', (event) => {
    event.preventDefault();
    banner.hidden = false;
    banner.scrollIntoView();
  });
})();
