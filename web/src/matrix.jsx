// Every step of every scenario at one look: a row for each scenario, a column for each step.
import { useMemo, useRef, useState } from 'preact/hooks'
import { percent, short, span } from './format.js'
import { aligned, BAD, outcomes, scenarios, totals } from './model.js'
import { Card, Legend, Link, MARK, open, Scroll, Tip, WORD } from './parts.jsx'
import { go } from './route.js'

const H = 20, LEFT = 176, RIGHT = 132, WIDE = 1400, FEW = 14

export function Matrix() {
  const columns = useMemo(aligned, [])
  const count = columns ? columns.size : Math.max(1, ...scenarios.map(scenario => scenario.steps.length))
  const W = Math.max(5, Math.min(count <= FEW ? 96 : 26, Math.floor((WIDE - LEFT - RIGHT - 40) / Math.max(1, count))))
  const gap = W > 9 ? 2 : 1
  const width = LEFT + count * W + RIGHT, top = columns ? 18 : 0, height = top + scenarios.length * H + 2
  const cells = useMemo(() => scenarios.map(scenario => {
    const row = []
    scenario.steps.forEach((step, nth) => { row[columns ? columns.get(step.slot) : nth] = step })
    return row
  }), [columns])
  const paths = useMemo(() => drawn(cells, W, gap, top), [cells, W])
  const years = useMemo(() => (columns ? yearsOf(cells, count) : []), [cells])
  const names = useMemo(() => (years.length || !columns || W < 48 ? [] : Array.from({ length: count }, (_, column) => cells.find(row => row[column])?.[column].n ?? '')), [cells, W])
  const [at, setAt] = useState(null)
  const [tip, setTip] = useState(null)
  const svg = useRef()

  const cellAt = event => {
    const box = svg.current.getBoundingClientRect()
    const x = ((event.clientX - box.left) * width) / box.width, y = ((event.clientY - box.top) * height) / box.height
    return [Math.floor((y - top) / H), Math.floor((x - LEFT) / W)]
  }
  const move = event => {
    const [row, column] = cellAt(event)
    const step = cells[row]?.[column]
    setTip(step ? { step, x: Math.min(LEFT + column * W, Math.max(0, width - RIGHT - 240)), y: top + row * H + H + 3 } : null)
  }
  const key = event => {
    const [row, column] = at || [0, 0]
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
    if (event.key in moves) {
      event.preventDefault()
      const [down, right] = at ? moves[event.key] : [0, 0]
      setAt([Math.max(0, Math.min(scenarios.length - 1, row + down)), Math.max(0, Math.min(count - 1, column + right))])
    } else if (event.key === 'Enter' && at && cells[row][column]) open(cells[row][column])
  }
  const here = at && cells[at[0]]?.[at[1]]
  return <Card id="matrix" title="Every step of every scenario" aside={<Legend />}>
    <Scroll class="matrixbox" name="every step of every scenario"><div class="plot" style={{ width: width + 'px' }}>
      <svg ref={svg} class="matrix" tabIndex={0} role="img" width={width} height={height} viewBox={`0 0 ${width} ${height}`}
        aria-label={`${scenarios.length} rows, one for each scenario, and ${count} columns, one for each step. Move with the arrow keys, open with Enter. The steps as a table: view Steps.`}
        onPointerMove={move} onPointerLeave={() => setTip(null)} onKeyDown={key} onBlur={() => setAt(null)}
        onClick={event => { const [row, column] = cellAt(event); const step = cells[row]?.[column]; if (step) open(step); else if (scenarios[row] && column < 0) go({ view: 'timeline', sc: row }) }}>
        {years.map(([year, from, to]) => <g key={from}><text x={LEFT + ((from + to) * W) / 2} y="12" text-anchor="middle" class="year">{(to - from) * W > 30 ? year : ''}</text><path class="rule" d={`M${LEFT + from * W - gap / 2 - 0.5} 4V${height - 2}`} /></g>)}
        {names.map((name, column) => <text key={column} x={LEFT + column * W + (W - gap) / 2} y="12" text-anchor="middle" class="year">{short(name, Math.floor(W / 6.6))}</text>)}
        {scenarios.map((scenario, row) => <g key={row}>
          <text x={LEFT - 8} y={top + row * H + 14} text-anchor="end" class="rowname">{short(scenario.id, 24)}</text>
          <text x={width - RIGHT + 8} y={top + row * H + 14} class="rowend">{rowEnd(scenario)}</text></g>)}
        {paths.map(([o, d]) => <path key={o} class={'o ' + o} d={d} />)}
        {W >= 12 && cells.map((row, y) => row.map((step, x) => (step && (BAD.has(step.o) || step.o === 'running') ? <text key={x + '.' + y} x={LEFT + x * W + (W - gap) / 2} y={top + y * H + 14} text-anchor="middle" class={'on ' + step.o}>{MARK[step.o]}</text> : null)))}
        {at && <rect class="cursor" x={LEFT + at[1] * W - 1} y={top + at[0] * H + 1} width={W} height={H - 2} rx="3" />}
      </svg>
      <Tip tip={tip} />
    </div></Scroll>
    <p class="quiet" role="status">{at ? (here ? `${scenarios[at[0]].id}, ${here.label}: ${WORD[here.o]}${here.d === undefined ? '' : ', ' + span(here.d)}` : `${scenarios[at[0]].id}: no step here`) : ''}</p>
    <details class="table"><summary>The scenarios as a table</summary><Scroll name="scenarios"><table><thead><tr><th>scenario</th><th>status</th><th class="num">steps</th><th class="num">reused</th><th class="num">bad</th><th class="num">took</th><th>description</th></tr></thead><tbody>
      {scenarios.map(scenario => { const sum = totals(scenario.steps); return <tr key={scenario.at}><td class="keep"><Link to={{ view: 'steps', sc: scenario.at }}>{scenario.id}</Link></td><td>{scenario.st}</td><td class="num">{sum.n}</td><td class="num">{sum.hits}</td><td class="num">{sum.failed || ''}</td><td class="num">{span(scenario.d)}</td><td class="long">{scenario.ds}</td></tr> })}
    </tbody></table></Scroll></details>
  </Card>
}

const rowEnd = scenario => {
  const sum = totals(scenario.steps)
  return [span(scenario.d ?? sum.seconds), percent(sum.hits, sum.n)].filter(Boolean).join(' · ')
}

/** A path for each outcome. What was reused is a thin bar, what was computed a whole one: no need to see colours. */
function drawn(cells, W, gap, top) {
  const found = new Map(outcomes.map(o => [o, '']))
  cells.forEach((row, y) => row.forEach((step, x) => {
    const [from, tall] = step.o === 'hit' ? [6, 8] : [3, 14]
    found.set(step.o, `${found.get(step.o)}M${LEFT + x * W} ${top + y * H + from}h${W - gap}v${tall}h${gap - W}z`)
  }))
  return [...found].filter(([, d]) => d)
}

function yearsOf(cells, count) {
  const found = []
  for (let column = 0; column < count; column++) {
    const year = cells.find(row => row[column])?.[column]?.y
    const last = found[found.length - 1]
    if (last && last[0] === year) last[2] = column + 1
    else found.push([year, column, column + 1])
  }
  return found.length > 40 || found.every(([year]) => year === undefined) ? [] : found.filter(([year]) => year !== undefined)
}
