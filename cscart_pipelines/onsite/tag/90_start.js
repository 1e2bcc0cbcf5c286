// From here the script runs: once on a page, and only what consent allows.

function begin() {
  withdrawn = false;
  unpackRecent();
  tellPage();
  hearBefore();
  whenRead(function () {
    hookShop();
    hearFacts();
    tellContents();
  });
  wake(PAUSE); // what could not be delivered from an earlier page
}

function whenRead(work) {
  if (document.readyState === 'loading') {
    document.addEventListener('DOMContentLoaded', safely(work));
  } else {
    work();
  }
}

function start() {
  var running = (window.cscartPipelines = window.cscartPipelines || {});
  if (running[OPTIONS.integration]) {
    return; // the file was imported twice, or the tag fired again
  }
  running[OPTIONS.integration] = true;
  listen();
  watchBook();
  document.addEventListener('click', safely(onClick), true);
  document.addEventListener('submit', safely(onSubmit), true);
  window.addEventListener('load', safely(hookShop));
  window.addEventListener('pagehide', safely(function () {
    leave();
    sendLast();
  }));
  document.addEventListener('visibilitychange', safely(function () {
    if (document.visibilityState === 'hidden') {
      sendLast();
    }
  }));
  window.addEventListener('pageshow', safely(function (event) {
    if (event.persisted && allowed()) {
      recent = []; // back from the browser's cache: seen again, with the notices of the time
      drop('sessionStorage', 'later');
      tellPage();
      tellContents();
    }
  }));
  consentChanged();
  if (!measuring) {
    late = true;
    before = [];
  }
}

safely(start)();
