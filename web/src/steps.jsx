// All steps as a table: found by words, sorted by any column. Only the rows that can be seen are in the page.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { clock, span } from './format.js'
import { outcomes, scenarios, steps, texts } from './model.js'
import { Card, ScenarioSelect, Select, StepLink, Tag, WORD } from './parts.jsx'
import { go, within } from './route.js'

const H = 31, SEEN = 24

const because = step => step.em ?? (step.rc.length ? step.rc.map(cause => cause.what).join('; ') : step.o === 'hit' ? sourceOf(step) : step.re || '')
const sourceOf = step => (step.src !== undefined ? `${steps[step.src].label} of ${scenarios[steps[step.src].s].id}` : step.srx || '')

const COLUMNS = [
  ['scenario', step => step.s, ''], ['step', step => step.n, ''], ['year', step => step.y ?? -1, 'num'], ['iteration', step => step.i ?? -1, 'num'],
  ['outcome', step => outcomes.indexOf(step.o), ''], ['started', step => step.q, ''], ['time', step => step.d ?? -1, 'num'], ['first cause, or what it reused', because, ''],
]

let words // of each step, made when somebody searches
function matching(query) {
  words ??= steps.map(step => [scenarios[step.s].id, step.label, step.y, step.id, WORD[step.o], step.o, step.m, step.g, because(step), step.sb && 'same bytes', ...(step.out || []).map(([key]) => texts[key]), ...(step.in || []).map(([role]) => texts[role])].filter(Boolean).join('\n').toLowerCase())
  const parts = query.toLowerCase().split(/\s+/).filter(Boolean)
  const whole = query.toLowerCase().trim()
  return step => words[step.at].includes(whole) || parts.every(part => words[step.at].includes(part))
}

export function Steps({ route }) {
  const sc = within(route.sc, scenarios.length)
  const column = within(route.sort?.replace('-', ''), COLUMNS.length) ?? 5, down = route.sort?.startsWith('-') ? -1 : 1
  const list = useMemo(() => {
    const fits = route.q ? matching(route.q) : () => true
    const found = steps.filter(step => (sc === undefined || step.s === sc) && (!route.o || step.o === route.o) && fits(step))
    const of = COLUMNS[column][1]
    if (column !== 5 || down < 0) found.sort((a, b) => { const [x, y] = [of(a), of(b)]; return (x < y ? -1 : x > y ? 1 : a.q - b.q) * down })
    return found
  }, [route.q, sc, route.o, column, down])
  const box = useRef()
  const [top, setTop] = useState(0)
  useEffect(() => { box.current.scrollTop = 0; setTop(0) }, [list])
  const from = Math.max(0, Math.floor(top / H) - 8), to = Math.min(list.length, from + SEEN + 20)
  return <Card id="steps" title="Steps">
    <div class="controls">
      <label>find <input type="search" class="wide" value={route.q || ''} onInput={event => go({ q: event.target.value }, true)} placeholder="name, year, scenario, cause, file" /></label>
      <ScenarioSelect name="scenario" none="all" value={sc} onPick={value => go({ sc: value })} />
      <Select name="outcome" none="all" value={route.o} onPick={o => go({ o })} options={outcomes.filter(o => steps.some(step => step.o === o)).map(o => [o, WORD[o]])} />
      <small role="status">{list.length} of {steps.length}</small>
      {(route.q || route.o || sc !== undefined) && <button onClick={() => go({ q: '', o: '', sc: '' })}>show all</button>}
    </div>
    <div class="scroll tall" ref={box} tabIndex={0} role="group" aria-label="rows of steps" onScroll={event => setTop(event.target.scrollTop)}>
      <table class="rows" aria-rowcount={list.length + 1}><thead><tr>{COLUMNS.map(([name, , kind], nth) => <th key={name} class={kind} aria-sort={column === nth ? (down > 0 ? 'ascending' : 'descending') : undefined}>
        <button class="th" onClick={() => go({ sort: column === nth && down > 0 ? '-' + nth : nth })}>{name}<span aria-hidden="true">{column === nth ? (down > 0 ? ' ↑' : ' ↓') : ''}</span></button></th>)}</tr></thead>
        <tbody>{from > 0 && <tr class="space" style={{ height: from * H + 'px' }} aria-hidden="true" />}
          {list.slice(from, to).map((step, nth) => <tr key={step.at} aria-rowindex={from + nth + 2} class={String(step.at) === route.step ? 'chosen' : ''}>
            <td><bdi>{scenarios[step.s].id}</bdi></td><td><StepLink step={{ ...step, label: [step.n, step.p].filter(Boolean).join(' ') }} /></td><td class="num">{step.y}</td><td class="num">{step.i}</td><td><Tag o={step.o} /></td><td>{clock(step.t)}</td><td class="num">{span(step.d)}</td><td class="cut">{because(step)}</td></tr>)}
          {to < list.length && <tr class="space" style={{ height: (list.length - to) * H + 'px' }} aria-hidden="true" />}
          {!list.length && <tr><td colSpan={8} class="quiet">No step has all of this.</td></tr>}</tbody></table></div>
  </Card>
}
