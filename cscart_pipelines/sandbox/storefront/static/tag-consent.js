// The tag runner's consent state: gtag's commands, and where tags of the real Tag Manager look for it.

const consents = {};
const listeners = [];

export function consentCommand(act, states) {
  if (act !== 'default' && act !== 'update') {
    throw new Error(`unknown consent command ${act}`);
  }
  for (const [type, state] of Object.entries(states || {})) {
    if (type === 'wait_for_update' || type === 'region') continue;
    consents[type] = consents[type] || {};
    consents[type][act] = state === 'granted';
    if (act === 'update') {
      listeners.filter((each) => each.types.includes(type)).forEach((each) => each.handler(type, state === 'granted'));
    }
  }
}

export function consentState(type) {
  const known = consents[type];
  if (!known) return undefined;
  return known.update === undefined ? known.default : known.update;
}

// Where tags look for it at the real thing: 1 granted, 2 denied, 0 no choice yet.
window.google_tag_data = window.google_tag_data || {};
window.google_tag_data.ics = {
  entries: consents,
  getConsentState(type) {
    const state = consentState(type);
    return state === undefined ? 0 : state ? 1 : 2;
  },
  addListener(types, handler) { listeners.push({ types, handler }); },
};

// Like Tag Manager: a page that never set a consent type has not denied it either.
export function lacking(tag) {
  const settings = tag.consentSettings || {};
  const status = settings.consentStatus || 'NOT_SET';
  if (status === 'NOT_SET' || status === 'NOT_NEEDED') return [];
  if (status !== 'NEEDED') throw new Error(`unknown consentStatus ${status}`);
  const types = settings.consentType && settings.consentType.list;
  if (!types || !types.length) throw new Error('consent is needed, but of no type');
  return types.map((each) => each.value).filter((type) => consentState(type) === false);
}
