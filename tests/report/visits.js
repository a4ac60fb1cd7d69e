// Visits the addresses in VISITS one after another, and leaves in the page what it held at each.
const pause = ms => new Promise(done => setTimeout(done, ms))
const drawn = async () => { // a busy machine may draw later than in 60 ms
  for (let before = -1, size = -2, left = 50; before !== size && left; left -= 1) {
    before = size
    await pause(60)
    size = document.body.innerHTML.length
  }
}
const texts = selector => [...document.querySelectorAll(selector)].map(row => [...row.cells].map(cell => cell.innerText.trim()))
addEventListener('load', async () => {
  while (!document.documentElement.dataset.ready) await pause(20)
  const found = []
  for (const [address, theme, axed] of [...VISITS]) {
    if (document.documentElement.dataset.theme !== theme) document.querySelector('.theme').click()
    history.pushState(null, '', address)
    dispatchEvent(new HashChangeEvent('hashchange'))
    await drawn()
    const tables = Object.fromEntries(['sums', 'all', 'pairs'].map(id => [id, texts(`#${id} tbody tr`)]))
    const visit = { address, theme, text: document.body.innerText, tables, titles: [...document.querySelectorAll('#pairs td.cut')].map(cell => cell.title), problems: [] }
    visit.sheet = document.querySelector('.sheet')?.innerText || ''
    visit.boxes = document.querySelectorAll('.node').length
    if (axed) {
      document.querySelectorAll('details').forEach(item => { item.open = true })
      await pause(60)
      const result = await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] })
      visit.passes = result.passes.length
      visit.problems = result.violations.map(item => [item.id, item.nodes.length, item.nodes[0].html.slice(0, 200)])
    }
    found.push(visit)
  }
  const press = (where, key) => where.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))
  const keys = []
  history.pushState(null, '', '#/overview')
  dispatchEvent(new HashChangeEvent('hashchange'))
  await pause(60)
  for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight', 'Enter']) { press(document.querySelector('.matrix'), key); await pause(40) }
  keys.push(document.querySelector('.sheet')?.innerText || '', location.hash)
  press(document.activeElement, 'Escape')
  await pause(40)
  keys.push(document.querySelector('.sheet')?.innerText || '', location.hash)
  const resources = performance.getEntriesByType('resource').map(entry => entry.name)
  const pre = document.createElement('pre')
  pre.id = 'visits'
  pre.textContent = JSON.stringify({ found, keys, resources, happened: globalThis.happened || [] })
  document.body.append(pre)
})
