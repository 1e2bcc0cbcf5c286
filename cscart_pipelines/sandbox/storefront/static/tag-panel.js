// What the tag runner did, drawn at the end of the page for the developer.

export function draw(runner) {
  if (!document.body || document.readyState === 'loading') return;
  let panel = document.getElementById('tag_runner');
  if (!panel) {
    panel = document.createElement('section');
    panel.id = 'tag_runner';
    panel.className = 'tag-runner';
    document.body.append(panel);
  }
  const list = document.createElement('ol');
  const line = (text, kind) => {
    const item = document.createElement('li');
    item.className = kind;
    item.textContent = text;
    list.append(item);
  };
  runner.fired.forEach((each) => line(`${each.event} → ${each.tag}`, 'fired'));
  runner.held.forEach((each) => line(`${each.event} → ${each.tag}: no consent (${each.missing})`, 'held'));
  runner.errors.forEach((each) => line(`${each.where}: ${each.message}`, 'error'));
  const title = document.createElement('h2');
  title.textContent = `Tag runner: ${runner.fired.length} fired, ${runner.held.length} held, ${runner.errors.length} errors`;
  panel.replaceChildren(title, list);
}
