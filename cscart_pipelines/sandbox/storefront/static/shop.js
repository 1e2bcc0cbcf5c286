// What the storefront does with clicks and forms: AJAX where the markup says cm-ajax, a submit for
// links with data-ca-dispatch. Requests themselves are in tygh.js.
(function ($) {
  'use strict';

  function has(element, name) {
    return Boolean(element) && element.classList.contains(name);
  }

  // Links that submit the form around them, as themes draw the wish list's.
  document.addEventListener('click', (event) => {
    const link = event.target.closest('.cm-submit[data-ca-dispatch]');
    const form = link && link.closest('form');
    if (!form || event.defaultPrevented) return;
    event.preventDefault();
    const pressed = document.createElement('button');
    pressed.type = 'submit';
    pressed.name = link.dataset.caDispatch;
    pressed.hidden = true;
    form.append(pressed);
    form.requestSubmit(pressed);
    pressed.remove();
  });

  document.addEventListener('click', (event) => {
    const link = event.target.closest('a.cm-ajax');
    if (!link || event.defaultPrevented) return;
    event.preventDefault();
    $.ceAjax('request', link.href, {
      method: 'get',
      result_ids: link.dataset.caTargetId,
      full_render: has(link, 'cm-ajax-full-render'),
      obj: $(link),
      callback: link.dataset.caEvent,
    });
  });

  document.addEventListener('submit', (event) => {
    const form = event.target;
    const pressed = event.submitter;
    if (event.defaultPrevented || !(has(form, 'cm-ajax') || has(pressed, 'cm-ajax'))) return;
    event.preventDefault();
    const data = [...new FormData(form)].map(([name, value]) => ({ name, value }));
    if (pressed && pressed.name) data.push({ name: pressed.name, value: pressed.value });
    $.ceAjax('request', form.action, {
      method: form.method,
      data,
      form: $(form),
      obj: $(pressed),
      result_ids: form.elements.result_ids ? form.elements.result_ids.value : '',
      full_render: has(form, 'cm-ajax-full-render'),
      callback: `ce.formajaxpost_${form.getAttribute('name')}`,
    });
  });
})(Tygh.$);
