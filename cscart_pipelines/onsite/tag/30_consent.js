// Whether the visitor allows analytics_storage. Tag Manager checks before it fires the tag; it is
// checked again here, before anything is read, stored or sent, because a custom HTML tag that has
// fired goes on whatever happens to the consent. No choice means no.

var measuring = false;
var said = {}; // last words on the data layer: default, update

// A consent command of the data layer.
function hearConsent(command, states) {
  var word = states && states.analytics_storage;
  if (word !== 'granted' && word !== 'denied') {
    return;
  }
  if (command === 'update') {
    said.update = word;
    if (word === 'denied') {
      forgetBefore();
    }
  } else if (command === 'default' && said['default'] !== 'denied') {
    // Where the visitor is, only Tag Manager knows: a region's permission is not taken for
    // everybody's, its refusal is.
    if (word === 'denied' || !states.region) {
      said['default'] = word;
    }
  }
}

// What Tag Manager's own book of consent says: granted, denied, or '' when it says nothing.
function book() {
  var data = window.google_tag_data;
  var entry = data && data.ics && data.ics.entries && data.ics.entries.analytics_storage;
  var word = entry ? (entry.update !== undefined ? entry.update : entry['default']) : undefined;
  if (word === true || word === 'granted') {
    return 'granted';
  }
  return word === undefined || word === null ? '' : 'denied';
}

function consented() {
  if (said.update === 'denied') {
    return false;
  }
  return (book() || said.update || said['default']) === 'granted';
}

// Asked before everything that is read, stored or sent.
function allowed() {
  if (measuring && !consented()) {
    stop();
  }
  return measuring;
}

function consentChanged() {
  if (consented()) {
    if (!measuring) {
      measuring = true;
      begin();
    }
  } else if (measuring) {
    stop();
  }
}

// Tag Manager writes its book a moment after the command, or without one.
function lookAgain() {
  consentChanged();
  setTimeout(safely(consentChanged), 0);
  setTimeout(safely(consentChanged), 500);
}

function stop() {
  measuring = false;
  identity = null;
  clicked = null;
  forgetBefore();
  forgetReports();
  forgetQueue();
  forgetEverythingStored();
}

function watchBook() {
  var data = window.google_tag_data;
  if (data && data.ics && typeof data.ics.addListener === 'function') {
    data.ics.addListener(['analytics_storage'], safely(consentChanged));
  }
}
