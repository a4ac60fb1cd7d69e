// What was made from what: one box for each kind of step, or the steps around one of them. Never more than MOST boxes.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { span } from './format.js'
import { laidOut } from './layout.js'
import { above, below, byName, moment, outcomes, scenarios, steps, texts, totals } from './model.js'
import { Card, Legend, MARK, open, ScenarioSelect, Scroll, Select, StepLink, WORD, Zoom } from './parts.jsx'
import { go, within } from './route.js'

export const MOST = 250
const FEW = 24
const SMALLEST = 0.72, LARGEST = 1.2

/** Numbers of the steps at most `far` steps before or after one, nearest first; and whether some were left out. */
export function around(start, far) {
  const found = new Set([start])
  let cut = false
  const walk = next => {
    let edge = [start]
    for (let depth = 0; depth < far && edge.length; depth++) {
      const more = []
      for (const at of edge) for (const other of next(steps[at])) {
        if (found.has(other)) continue
        if (found.size >= MOST) { cut = true; return }
        found.add(other)
        more.push(other)
      }
      edge = more
    }
  }
  walk(step => [...above(step).keys()])
  walk(below)
  return [[...found].sort((a, b) => a - b), cut]
}

function stepGraph(numbers) {
  const there = new Set(numbers)
  const edges = numbers.flatMap(at => [...above(steps[at])].filter(([from]) => there.has(from)).map(([from, roles]) => ({ from, to: at, names: roles.map(role => texts[role]) })))
  const nodes = numbers.map(at => ({ id: at, label: steps[at].n, wide: 2, sub: [moment(steps[at]), span(steps[at].d)].filter(Boolean).join(' '), step: steps[at] }))
  return laidOut(nodes, edges, { named: numbers.length <= 60 })
}

function kindGraph(list) {
  const kinds = byName(list)
  const edges = new Map()
  for (const step of list) {
    for (const [from, roles] of above(step)) {
      if (steps[from].s !== step.s) continue
      const key = JSON.stringify([steps[from].n, step.n])
      edges.set(key, new Set([...(edges.get(key) || []), ...roles.map(role => texts[role])]))
    }
  }
  const names = [...kinds.keys()].slice(0, MOST)
  const place = new Map(names.map((name, id) => [name, id]))
  const nodes = names.map((name, id) => ({ id, label: name, sub: `× ${kinds.get(name).length}  ${span(totals(kinds.get(name)).seconds)}`, list: kinds.get(name) }))
  const lines = [...edges].map(([key, roles]) => { const [from, to] = JSON.parse(key).map(name => place.get(name)); return { from, to, names: [...roles] } })
  return laidOut(nodes, lines.filter(edge => edge.from !== undefined && edge.to !== undefined), { tall: 50 })
}

export function Lineage({ route }) {
  const focus = within(route.focus, steps.length)
  const best = Math.max(0, scenarios.findLastIndex(scenario => scenario.st === 'completed' && scenario.steps.length))
  const sc = focus === undefined ? within(route.sc, scenarios.length) ?? best : steps[focus].s
  const list = scenarios[sc]?.steps || []
  const kinds = focus === undefined && (list.length > MOST || (route.draw || (list.length > FEW ? 'kinds' : 'steps')) === 'kinds')
  const far = route.far === 'all' ? 1e6 : Number(route.far) || 3
  const [numbers, cut] = useMemo(() => (focus !== undefined ? around(focus, far) : [list.slice(0, MOST).map(step => step.at), false]), [focus, far, sc])
  const graph = useMemo(() => (kinds ? kindGraph(list) : stepGraph(numbers)), [kinds, numbers, sc])
  const query = (route.q || '').toLowerCase()
  const matches = node => query && (kinds ? node.label : `${node.step.label} ${node.step.id} ${(node.step.out || []).map(([key]) => texts[key]).join(' ')}`).toLowerCase().includes(query)
  const found = query ? graph.nodes.filter(matches).length : 0
  return <Card id="lineage" title="Lineage">
    <div class="controls">
      <ScenarioSelect name="scenario" value={sc} onPick={value => go({ sc: value, focus: '' })} />
      <Select name="around" none="the whole scenario" value={focus} onPick={value => go({ focus: value, sc })} options={list.slice(0, 2000).map(step => [step.at, step.label])} />
      {focus === undefined && list.length <= MOST && <Select name="draw" value={kinds ? 'kinds' : 'steps'} onPick={draw => go({ draw })} options={[['kinds', 'one box for each kind of step'], ['steps', 'every step']]} />}
      {focus !== undefined && <Select name="steps away" value={route.far || '3'} onPick={value => go({ far: value })} options={['1', '2', '3', '5', 'all'].map(value => [value, value])} />}
      <label>find <input type="search" value={route.q || ''} onInput={event => go({ q: event.target.value }, true)} placeholder="step or file" /></label>
      <small role="status">{query ? `${found} found` : ''}</small>
    </div>
    {cut && <p class="warn" role="status">Only {numbers.length} steps are drawn: choose fewer steps away.</p>}
    {focus === undefined && list.length > MOST && <p class="warn" role="status">{list.length} steps are too many to draw: one box stands for each kind. Choose a step to see those around it.</p>}
    <Legend list={kinds ? list : numbers.map(at => steps[at])} />
    <Drawing graph={graph} kinds={kinds} focus={focus} sc={sc} matches={query ? matches : null} />
    <Table graph={graph} kinds={kinds} />
  </Card>
}

function Drawing({ graph, kinds, focus, sc, matches }) {
  const [view, setView] = useState(null)
  useEffect(() => setView(null), [graph])
  const [room, setRoom] = useState(1300)
  // neither so large that a few boxes fill the page, nor so small that they cannot be read: the rest is a drag away
  const wide = Math.min(room / SMALLEST, Math.max(graph.width + 40, room / LARGEST))
  const height = Math.min(640, Math.max(220, ((graph.height + 72) * room) / wide))
  const tall = (height * wide) / room
  const middle = graph.nodes.find(node => node.id === focus)
  const left = graph.width + 40 <= wide ? (graph.width - wide) / 2 : middle && !kinds ? Math.min(graph.width + 20 - wide, Math.max(-20, middle.x + middle.w / 2 - wide / 2)) : -20
  const whole = { x: left, y: graph.height + 40 <= tall ? (graph.height - tall) / 2 : middle && !kinds ? middle.y - tall / 2 : -20, w: wide, h: tall }
  const now = view || whole
  const svg = useRef(), drag = useRef(null)
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setRoom(Math.max(300, entry.contentRect.width)))
    watch.observe(svg.current)
    return () => watch.disconnect()
  }, [])
  const zoom = (by, cx = 0.5, cy = 0.5) => setView(last => { const v = last || whole; return { x: v.x + v.w * (1 - by) * cx, y: v.y + v.h * (1 - by) * cy, w: v.w * by, h: v.h * by } })
  useEffect(() => {
    const there = svg.current
    const wheel = event => {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return
      event.preventDefault()
      const box = there.getBoundingClientRect()
      zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height)
    }
    there.addEventListener('wheel', wheel, { passive: false })
    return () => there.removeEventListener('wheel', wheel)
  }, [graph])
  const key = event => {
    if (event.target !== svg.current) return
    const shift = (x, y) => setView({ ...now, x: now.x + now.w * x, y: now.y + now.h * y })
    const does = { '+': () => zoom(0.8), '=': () => zoom(0.8), '-': () => zoom(1.25), 0: () => setView(null), ArrowLeft: () => shift(-0.1, 0), ArrowRight: () => shift(0.1, 0), ArrowUp: () => shift(0, -0.1), ArrowDown: () => shift(0, 0.1) }[event.key]
    if (does) { does(); event.preventDefault() }
  }
  const pull = event => {
    if (!drag.current || !event.buttons) return
    const { x, y, from } = drag.current, box = svg.current.getBoundingClientRect(), scale = Math.max(now.w / box.width, now.h / box.height)
    if (Math.abs(event.clientX - x) + Math.abs(event.clientY - y) > 4) setView({ ...from, x: from.x - (event.clientX - x) * scale, y: from.y - (event.clientY - y) * scale })
  }
  const pick = node => (kinds ? go({ view: 'steps', q: node.label, sc }) : open(node.step))
  const dim = node => (matches ? (matches(node) ? ' found' : ' dim') : '')
  const named = kinds || graph.nodes.length <= 60
  return <div class="drawing"><Zoom onZoom={zoom} onAll={() => setView(null)} />
    <svg ref={svg} class="graph" viewBox={`${now.x} ${now.y} ${now.w} ${now.h}`} role="group" tabIndex={0} style={{ height: height + 'px' }}
      aria-label="Steps from left to right. What one made leads to those that used it. The table below has the same."
      onKeyDown={key} onPointerDown={event => { drag.current = { x: event.clientX, y: event.clientY, from: now } }} onPointerMove={pull} onPointerUp={() => { drag.current = null }}>
      <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" class="arrow" /></marker></defs>
      {graph.edges.map((edge, nth) => <g key={nth} class={'edge' + (matches ? ' dim' : '')}><path d={edge.d} marker-end="url(#arrow)"><title>{edge.names.join(', ')}</title></path>
        {named && edge.x !== undefined && <text x={edge.x} y={edge.y} dy="3" text-anchor="middle">{edge.names.length > 2 ? `${edge.names.length} files` : edge.names.join(', ')}</text>}</g>)}
      {graph.nodes.map(node => <g key={node.id} class={'node ' + (kinds ? 'kind' : node.step.o) + (node.id === focus ? ' focus' : '') + dim(node)} transform={`translate(${node.x} ${node.y})`} role="button" tabIndex={0}
        aria-label={kinds ? `${node.label}, ${node.list.length} steps` : `${node.step.label}, ${WORD[node.step.o]}`} onClick={() => pick(node)} onKeyDown={event => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); pick(node) } }}>
        <rect width={node.w} height={node.h} rx="7" class="box" />
        <text x="11" y="16">{kinds ? '' : MARK[node.step.o] + ' '}{node.label}</text><text x="11" y="30" class="sub">{node.sub}</text>
        {kinds && <Shares list={node.list} width={node.w - 22} y={node.h - 13} />}
      </g>)}
    </svg></div>
}

/** How many of a kind were computed, reused, failed: in widths. */
function Shares({ list, width, y }) {
  let x = 11
  return outcomes.map(o => {
    const wide = (width * list.filter(step => step.o === o).length) / list.length, from = x
    x += wide
    return wide ? <rect key={o} class={'o ' + o} x={from} y={o === 'hit' ? y + 1.5 : y} width={wide} height={o === 'hit' ? 3 : 6} /> : null
  })
}

function Table({ graph, kinds }) {
  const name = id => { const node = graph.nodes.find(item => item.id === id); return kinds ? node.label : <StepLink step={node.step} /> }
  return <details class="table"><summary>The same as a table</summary><Scroll name="lines of the drawing"><table><thead><tr><th>made by</th><th>files</th><th>used by</th></tr></thead><tbody>
    {graph.edges.map((edge, nth) => <tr key={nth}><td class="keep">{name(edge.from)}</td><td>{edge.names.join(', ')}</td><td class="keep">{name(edge.to)}</td></tr>)}
    {!graph.edges.length && <tr><td colSpan={3} class="quiet">No step used what another one made.</td></tr>}
  </tbody></table></Scroll></details>
}
