// The whole page: takes its data in, and shows the view that the address names.
import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Compare } from './compare.jsx'
import { clock, counted } from './format.js'
import { Lineage } from './lineage.jsx'
import { data, load, steps } from './model.js'
import { Overview } from './overview.jsx'
import { Link } from './parts.jsx'
import { useRoute, within } from './route.js'
import { Sheet } from './sheet.jsx'
import { Steps } from './steps.jsx'
import { Timeline } from './timeline.jsx'
import './style.css'

const VIEWS = { overview: ['Overview', Overview], timeline: ['Timeline', Timeline], lineage: ['Lineage', Lineage], steps: ['Steps', Steps], compare: ['Compare', Compare] }
const prefersDark = matchMedia('(prefers-color-scheme: dark)')

function useTheme() {
  const [theme, set] = useState(document.documentElement.dataset.theme || '')
  const [system, setSystem] = useState(prefersDark.matches)
  useEffect(() => { const changed = () => setSystem(prefersDark.matches); prefersDark.addEventListener('change', changed); return () => prefersDark.removeEventListener('change', changed) }, [])
  const dark = theme ? theme === 'dark' : system
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
  return [dark, () => set(dark ? 'light' : 'dark')]
}

function App() {
  const route = useRoute()
  const [dark, turn] = useTheme()
  const [name, View] = VIEWS[route.view] || VIEWS.overview
  const at = within(route.step, steps.length)
  useEffect(() => { document.title = `${name}: ${data.project}` }, [name])
  useEffect(() => { scrollTo(0, 0) }, [route.view])
  return <div class={'page' + (at === undefined ? '' : ' open')}>
    <header class="top">
      <div class="title"><h1><bdi>{data.project}</bdi></h1><p class="quiet">as of event {data.integrity.position}, {clock(data.made)}</p></div>
      <nav aria-label="views">{Object.entries(VIEWS).map(([key, [text]]) => <Link key={key} to={{ view: key }} from={{}} aria-current={name === text ? 'page' : undefined}>{text}</Link>)}</nav>
      <div class="state">{data.integrity.ok ? <span class="pill good">✓ whole</span> : <Link to={{ view: 'overview' }} from={{}} class="pill bad">✕ not whole</Link>}
        <Again /><button class="theme" onClick={turn} aria-label={dark ? 'light colours' : 'dark colours'} title={dark ? 'light colours' : 'dark colours'}>{dark ? '☀' : '☾'}</button></div>
    </header>
    <main><View route={route} dark={dark} key={route.view} /></main>
    {at !== undefined && <Sheet at={at} />}
    <footer class="quiet">Made by consist-es {data.version} from the record; the page asks nothing of any network.
      <details><summary>Licences of what is in it</summary><pre tabIndex={0}>{document.getElementById('licences').textContent.trim()}</pre></details></footer>
  </div>
}

/** While the file is written again and again: load it again, in the same state. */
function Again() {
  const [on, set] = useState(true)
  useEffect(() => {
    if (!data.every || !on) return undefined
    const timer = setTimeout(() => location.reload(), Math.max(2, data.every) * 1000)
    return () => clearTimeout(timer)
  }, [on])
  if (!data.every) return null
  return <label class="again" title={`This file is written again as the scenario runs; the page loads it every ${counted(data.every, 'second')}.`}><input type="checkbox" checked={on} onChange={event => set(event.target.checked)} /> live</label>
}

async function unpacked(element) {
  if (element.type === 'application/json') return element.textContent
  const bytes = Uint8Array.from(atob(element.textContent.trim()), character => character.charCodeAt(0))
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).text()
}

const page = document.getElementById('app')
unpacked(document.getElementById('data')).then(text => {
  load(JSON.parse(text))
  page.textContent = ''
  render(<App />, page)
  document.documentElement.dataset.ready = '1'
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark('painted')))
}).catch(error => {
  document.documentElement.dataset.failed = String(error)
  document.getElementById('why').textContent = `The data of this report could not be shown here: ${error.message}. A newer browser may do it.`
})
