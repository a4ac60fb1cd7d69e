// When steps ran. A canvas, for there may be thousands; below it the same as a table.
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { clock, short, span } from './format.js'
import { BAD, byName, moment, scenarios, steps, totals } from './model.js'
import { Card, Legend, open, ScenarioSelect, Scroll, StepLink, Tag, Tip, Zoom } from './parts.jsx'
import { go, within } from './route.js'

const ROW = 22, LEFT = 176, TOP = 26, LISTED = 200
const paint = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const seconds = step => (step.d === undefined ? 0 : step.d)

/** All scenarios: a lane for each; one scenario: a lane for each kind of step. */
function lanesOf(only) {
  if (only === undefined) return scenarios.filter(scenario => scenario.steps.length).map(scenario => ({ name: scenario.id, began: scenario.t ?? scenario.steps[0].t, steps: scenario.steps }))
  const kinds = byName(scenarios[only].steps)
  const began = scenarios[only].t ?? scenarios[only].steps[0]?.t ?? 0
  return [...kinds].map(([name, list]) => ({ name, began, steps: list }))
}

export function Timeline({ route, dark }) {
  const only = within(route.sc, scenarios.length)
  const byClock = route.by === 'clock'
  const lanes = useMemo(() => lanesOf(only), [only])
  const first = Math.min(...lanes.map(lane => lane.began))
  const offset = useCallback((lane, step) => (step.t - (byClock ? first : lane.began)) / 1000, [byClock, first])
  const extent = useMemo(() => lanes.reduce((most, lane) => lane.steps.reduce((longest, step) => Math.max(longest, offset(lane, step) + seconds(step)), most), 0.001), [lanes, offset])
  const [view, setView] = useState([0, extent])
  useEffect(() => setView([0, extent]), [extent])
  const [width, setWidth] = useState(1000)
  const [tip, setTip] = useState(null)
  const canvas = useRef(), box = useRef(), drag = useRef(null), boxes = useRef([])
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.max(320, Math.floor(entry.contentRect.width))))
    watch.observe(box.current)
    return () => watch.disconnect()
  }, [])
  useEffect(() => { boxes.current = draw(canvas.current, { lanes, view, width, offset, only, zero: byClock ? first : undefined }) }, [lanes, view, width, offset, dark])

  const zoom = (factor, at = 0.5) => setView(([from, to]) => {
    const wide = Math.min(extent, Math.max(extent / 5000, (to - from) * factor))
    const start = Math.min(Math.max(0, from + (to - from - wide) * at), extent - wide)
    return [start, start + wide]
  })
  const pan = by => setView(([from, to]) => { const move = Math.min(Math.max(-from, (to - from) * by), Math.max(0, extent - to)); return [from + move, to + move] })
  const place = event => { const around = canvas.current.getBoundingClientRect(); return [event.clientX - around.left, event.clientY - around.top] }
  const stepAt = event => { const [x, y] = place(event); return boxes.current.findLast(([left, up, wide]) => x >= left - 1 && x <= left + wide + 1 && y >= up && y < up + ROW) }
  useEffect(() => {
    const wheel = event => {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return
      event.preventDefault()
      zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, Math.min(1, Math.max(0, (place(event)[0] - LEFT) / (width - LEFT))))
    }
    const there = canvas.current
    there.addEventListener('wheel', wheel, { passive: false })
    return () => there.removeEventListener('wheel', wheel)
  }, [width, extent])
  const keys = event => {
    const does = { '+': () => zoom(0.7), '=': () => zoom(0.7), '-': () => zoom(1.4), ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), 0: () => setView([0, extent]) }[event.key]
    if (does) { does(); event.preventDefault() }
  }
  const moved = event => {
    if (drag.current) {
      const dx = event.clientX - drag.current.x
      if (Math.abs(dx) > 3) drag.current.far = true
      const [from, to] = drag.current.view, by = Math.min(Math.max(-from, (-dx / (width - LEFT)) * (to - from)), Math.max(0, extent - to))
      setView([from + by, to + by])
      return
    }
    const found = stepAt(event)
    setTip(found ? { step: found[3], x: Math.max(0, Math.min(place(event)[0], width - 330)), y: found[1] + ROW + 2 } : null)
  }
  const up = event => { const { far } = drag.current || {}; drag.current = null; const found = far === false && stepAt(event); if (found) open(found[3]) }

  const shown = only === undefined ? steps : scenarios[only].steps
  return <Card id="timeline" title="Timeline">
    <div class="controls">
      <ScenarioSelect name="scenario" none="all" value={only} onPick={sc => go({ sc })} />
      <fieldset><legend class="sr">time</legend>
        <label><input type="radio" name="by" checked={!byClock} onChange={() => go({ by: '' })} /> since each scenario began</label>
        <label><input type="radio" name="by" checked={byClock} onChange={() => go({ by: 'clock' })} /> by the clock</label></fieldset>
      <Zoom onZoom={zoom} onAll={() => setView([0, extent])} />
      <small class="quiet">drag to move, + − or Ctrl + wheel to zoom, click a step</small>
    </div>
    <Legend list={shown} />
    <div ref={box} class="plot"><canvas ref={canvas} tabIndex={0} role="img" style={{ width: '100%', height: TOP + lanes.length * ROW + 6 + 'px' }}
      aria-label={`${shown.length} steps in ${lanes.length} lanes, ${span(extent)} long. The table below has the same.`}
      onKeyDown={keys} onPointerMove={moved} onPointerUp={up} onPointerLeave={() => setTip(null)}
      onPointerDown={event => { drag.current = { x: event.clientX, view, far: false }; canvas.current.setPointerCapture(event.pointerId) }} /><Tip tip={tip} /></div>
    <Table only={only} lanes={lanes} offset={offset} />
  </Card>
}

function draw(canvas, { lanes, view, width, offset, only, zero }) {
  const ratio = devicePixelRatio || 1, pen = canvas.getContext('2d'), height = TOP + lanes.length * ROW + 6
  canvas.width = width * ratio
  canvas.height = height * ratio
  pen.setTransform(ratio, 0, 0, ratio, 0, 0)
  pen.clearRect(0, 0, width, height)
  pen.font = '12px system-ui, "DejaVu Sans", sans-serif'
  pen.textBaseline = 'middle'
  const [ink, quiet, line] = ['--ink', '--quiet', '--line'].map(paint)
  const colours = new Map()
  const colour = name => { if (!colours.has(name)) colours.set(name, paint(name)); return colours.get(name) }
  const x = t => LEFT + ((t - view[0]) / (view[1] - view[0])) * (width - LEFT - 10)
  const tick = nice((view[1] - view[0]) / Math.max(2, (width - LEFT) / 110))
  pen.strokeStyle = line
  pen.fillStyle = quiet
  pen.textAlign = 'center'
  for (let t = Math.ceil(view[0] / tick) * tick; t <= view[1] + 1e-9; t += tick) {
    const at = Math.round(x(t)) + 0.5
    pen.beginPath(); pen.moveTo(at, TOP - 6); pen.lineTo(at, height); pen.stroke()
    if (at < width - 34) pen.fillText(zero === undefined ? (t < 1e-9 ? '0' : span(t)) : clock(zero + t * 1000).slice(tick >= 86400 ? 5 : 11, tick >= 86400 ? 10 : tick >= 60 ? 16 : 19), at, 10)
  }
  const found = []
  lanes.forEach((lane, row) => {
    const y = TOP + row * ROW
    for (const step of lane.steps) {
      const left = x(offset(lane, step)), wide = Math.max(2, x(offset(lane, step) + seconds(step)) - left)
      if (left + wide < LEFT || left > width) continue
      const from = Math.max(LEFT, left), rest = wide - (from - left)
      const [down, tall] = step.o === 'hit' ? [7, ROW - 15] : [3, ROW - 7]
      pen.fillStyle = colour('--' + step.o)
      pen.fillRect(from, y + down, rest > 3 ? rest - 1 : rest, tall)
      if (BAD.has(step.o)) { pen.strokeStyle = ink; pen.strokeRect(from + 0.5, y + 3.5, Math.max(2, rest) - 1, ROW - 8) }
      found.push([from, y, rest, step])
      const text = only === undefined ? step.label : moment(step) || step.label
      if (rest > pen.measureText(text).width + 10) {
        pen.fillStyle = colour('--on-' + step.o)
        pen.textAlign = 'left'
        pen.fillText(text, from + 5, y + ROW / 2 - 0.5)
      }
    }
    pen.fillStyle = ink
    pen.textAlign = 'right'
    pen.fillText(short(lane.name, 24), LEFT - 8, y + ROW / 2)
  })
  return found
}

const WHOLE = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400]

function nice(value) {
  if (value > 86400) return 86400 * Math.ceil(value / 86400)
  if (value > 30) return WHOLE.find(whole => whole >= value)
  const power = 10 ** Math.floor(Math.log10(value)), rest = value / power
  return (rest < 1.5 ? 1 : rest < 3.5 ? 2 : rest < 7.5 ? 5 : 10) * power
}

function Table({ only, lanes, offset }) {
  if (only === undefined) return <details class="table"><summary>The same as a table</summary><Scroll name="scenarios in time"><table><thead><tr><th>scenario</th><th>began</th><th class="num">steps</th><th class="num">reused</th><th class="num">last step ended after</th><th>longest step</th></tr></thead><tbody>
    {lanes.map(lane => { const longest = lane.steps.reduce((best, step) => (seconds(step) > seconds(best) ? step : best)); return <tr key={lane.name}><td class="keep">{lane.name}</td><td class="keep">{clock(lane.began)}</td><td class="num">{lane.steps.length}</td><td class="num">{totals(lane.steps).hits}</td><td class="num">{span(lane.steps.reduce((most, step) => Math.max(most, (step.t - lane.began) / 1000 + seconds(step)), 0))}</td><td><StepLink step={longest} /> <small>{span(longest.d)}</small></td></tr> })}
  </tbody></table></Scroll></details>
  const list = scenarios[only].steps
  const lane = lanes.find(item => item.steps.length) || { began: 0 }
  return <details class="table"><summary>The same as a table</summary><Scroll name="steps in time"><table><thead><tr><th>step</th><th>outcome</th><th class="num">began after</th><th class="num">took</th></tr></thead><tbody>
    {list.slice(0, LISTED).map(step => <tr key={step.at}><td class="keep"><StepLink step={step} /></td><td><Tag o={step.o} /></td><td class="num">{span(offset(lane, step))}</td><td class="num">{span(step.d)}</td></tr>)}
  </tbody></table></Scroll>{list.length > LISTED && <p class="quiet">The first {LISTED}; view Steps has all {list.length}.</p>}</details>
}
