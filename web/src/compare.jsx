// Scenarios side by side: all against one, or two step by step.
import { useMemo } from 'preact/hooks'
import { BY_INPUTS, cameOut, compare, ITSELF, ONLY_A, ONLY_B, ownConfig, SAME } from './differences.js'
import { clock, percent, span } from './format.js'
import { scenarios, totals } from './model.js'
import { Card, Link, ScenarioSelect, Scroll, Tag } from './parts.jsx'
import { go, within } from './route.js'

const SIGN = { [SAME]: '=', [ITSELF]: '≠', [BY_INPUTS]: '~', [ONLY_A]: '−', [ONLY_B]: '+' }
const real = () => scenarios.filter(scenario => !scenario.x)

export function Compare({ route }) {
  const A = within(route.a, scenarios.length) ?? 0
  const B = within(route.b, scenarios.length) ?? (real().length === 2 && route.a === undefined ? 1 : undefined)
  if (real().length < 2) return <Card id="compare" title="Compare"><p>There is one scenario only: nothing to compare it with.</p></Card>
  return B === undefined ? <All A={A} /> : <Two A={A} B={B} every={route.all === '1'} />
}

function All({ A }) {
  const list = useMemo(() => real().filter(scenario => scenario.at !== A).map(scenario => ({ scenario, ...compare(A, scenario.at), config: ownConfig(A, scenario.at) })), [A])
  const sided = list.some(({ counts }) => counts[ONLY_A] || counts[ONLY_B])
  return <Card id="compare" title={<>All scenarios against <bdi>{scenarios[A].id}</bdi></>}>
    <div class="controls"><ScenarioSelect name="against" value={A} onPick={a => go({ a })} /><small class="quiet">a scenario's name shows the two step by step</small></div>
    <Scroll name="all against one"><table class="rows" id="all"><thead><tr><th>scenario</th><th>config that differs</th><th>they part at</th><th>because of</th><th class="num">same</th><th class="num">differ</th><th class="num">by inputs</th>{sided && <th class="num">one side</th>}<th class="num">took</th><th class="num">reused</th><th>status</th></tr></thead><tbody>
      {list.map(({ scenario, counts, first, config }) => { const sum = totals(scenario.steps); const one = (counts[ONLY_A] || 0) + (counts[ONLY_B] || 0); return <tr key={scenario.at} data-id={scenario.id}>
        <td><Link to={{ view: 'compare', a: A, b: scenario.at }}><bdi>{scenario.id}</bdi></Link></td>
        <td class="cut" title={config.map(({ key, a, b }) => `${key} ${a} → ${b}`).join(', ')}>{config.length ? config.map(({ key, a, b }) => `${key} ${a} → ${b}`).join(', ') : <span class="quiet">none</span>}</td>
        <td>{first ? first.label : <span class="quiet">nowhere</span>}</td><td class="cut" title={first?.words}>{first?.words}</td>
        <td class="num">{counts[SAME] || 0}</td><td class="num">{counts[ITSELF] || ''}</td><td class="num">{counts[BY_INPUTS] || ''}</td>{sided && <td class="num">{one || ''}</td>}
        <td class="num">{span(scenario.d)}</td><td class="num">{percent(sum.hits, sum.n)}</td><td class={scenario.st === 'completed' ? 'quiet' : 'badtext'}>{scenario.st}</td></tr> })}
    </tbody></table></Scroll></Card>
}

function Two({ A, B, every }) {
  const { pairs, counts, first } = useMemo(() => compare(A, B), [A, B])
  const config = useMemo(() => ownConfig(A, B), [A, B])
  const [a, b] = [scenarios[A], scenarios[B]]
  const [sa, sb] = [totals(a.steps), totals(b.steps)]
  const shown = pairs.filter(pair => every || pair.verdict !== SAME)
  const software = a.env === b.env ? 'the same' : 'other versions, or another commit'
  return <Card id="compare" title="Compare two scenarios">
    <div class="controls"><ScenarioSelect name="A" value={A} onPick={value => go({ a: value, b: B })} /><button onClick={() => go({ a: B, b: A })} aria-label="swap A and B">⇄</button><ScenarioSelect name="B" value={B} onPick={value => go({ a: A, b: value })} />
      <label><input type="checkbox" checked={!every} onChange={event => go({ all: event.target.checked ? '' : '1' })} /> only what differs</label>
      <Link to={{ view: 'compare', a: A, b: '' }}>all against A</Link></div>
    <div class={'verdict ' + (first ? '' : 'good')} role="status">{first
      ? <><b>They part at {first.label}</b>: {first.words}. <span class="block">{said(counts)}</span></>
      : <b>✓ Every step is the same work.</b>}</div>
    <Scroll name="two scenarios"><table class="sides"><thead><tr><td /><th>A: <bdi>{a.id}</bdi></th><th>B: <bdi>{b.id}</bdi></th></tr></thead><tbody>
      <tr><th scope="row">status</th><td>{a.st}</td><td>{b.st}</td></tr>
      <tr><th scope="row">entered</th><td>{clock(a.t)}</td><td>{clock(b.t)}</td></tr>
      <tr><th scope="row">took</th><td>{span(a.d)}</td><td>{span(b.d)}</td></tr>
      <tr><th scope="row">steps</th><td>{sa.n}, {sa.hits} reused</td><td>{sb.n}, {sb.hits} reused</td></tr>
      <tr class={a.env !== b.env ? 'differs' : ''}><th scope="row">software</th><td colSpan={2}>{software}</td></tr>
      {config.map(({ key, a: before, b: after }) => <tr key={key} class="differs"><th scope="row">config {key}</th><td>{before}</td><td>{after}</td></tr>)}
      {!config.length && <tr><th scope="row">config</th><td colSpan={2}>the same</td></tr>}
    </tbody></table></Scroll>
    {shown.length > 0 && <Scroll name="steps that differ"><table class="rows" id="pairs"><thead><tr><th>step</th><th>A</th><th>B</th><th class="num">time A</th><th class="num">time B</th><th>verdict</th><th>what differs</th><th>outputs</th></tr></thead><tbody>
      {shown.map(pair => <tr key={pair.slot} class={pair === first ? 'first' : ''} data-verdict={pair.verdict}>
        <td>{pair.label}{pair === first && <b class="badge">first</b>}</td><Side step={pair.a} /><Side step={pair.b} />
        <td class="num">{pair.a && span(pair.a.d)}</td><td class="num">{pair.b && span(pair.b.d)}</td>
        <td class={pair.verdict === ITSELF ? 'strong' : 'quiet'}><span aria-hidden="true">{SIGN[pair.verdict]} </span>{pair.verdict}</td>
        <td class="cut" title={pair.words}>{pair.verdict === SAME ? '' : pair.words}</td><td class={cameOut(pair) === 'same bytes' ? 'strong' : 'quiet'}>{cameOut(pair)}</td></tr>)}
    </tbody></table></Scroll>}
  </Card>
}

const Side = ({ step }) => <td>{step ? <Link to={{ step: step.at }} class="plain"><Tag o={step.o} /></Link> : '—'}</td>

function said(counts) {
  const words = { [SAME]: 'are the same work', [ITSELF]: 'differ by themselves', [BY_INPUTS]: 'only by what they were given', [ONLY_A]: 'are only in A', [ONLY_B]: 'are only in B' }
  const found = Object.entries(counts).map(([verdict, count]) => `${count} ${words[verdict]}`).join(', ')
  return `Of ${Object.values(counts).reduce((sum, count) => sum + count, 0)} steps ${found}.`
}
