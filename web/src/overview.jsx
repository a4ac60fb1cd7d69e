import { useMemo } from 'preact/hooks'
import { clock, counted, number, percent, span } from './format.js'
import { Matrix } from './matrix.jsx'
import { BAD, causes, data, scenarios, steps, texts, totals } from './model.js'
import { Card, Link, Scroll, StepLink, Tag } from './parts.jsx'

const Tile = ({ value, name, note, kind = '', to }) => <div class={'tile ' + kind}><b>{value}</b><span>{to ? <Link to={to}>{name}</Link> : name}</span>{note && <small>{note}</small>}</div>

export function Overview() {
  const sum = useMemo(() => totals(steps), [])
  const bad = steps.filter(step => BAD.has(step.o))
  const running = steps.filter(step => step.o === 'running')
  const same = steps.filter(step => step.sb)
  const few = useMemo(() => causes(steps).length < 6, [])
  const real = scenarios.filter(scenario => !scenario.x)
  const names = new Set(real.map(scenario => scenario.name)).size
  return <>
    <h2 class="sr">Overview</h2>
    {!data.integrity.ok && <Integrity />}
    <div class="tiles">
      <Tile value={number(real.length)} name={real.length === 1 ? 'scenario' : 'scenarios'} note={names === real.length ? '' : `of ${counted(names, 'name')}`} />
      <Tile value={number(sum.n)} name={sum.n === 1 ? 'step' : 'steps'} note={`${number(sum.computed)} computed`} to={{ view: 'steps' }} />
      <Tile value={percent(sum.hits, sum.n)} name="reused" note={counted(sum.hits, 'step')} kind="hit" to={{ view: 'steps', o: 'hit' }} />
      <Tile value={span(sum.saved)} name="saved by the cache" note={`${span(sum.seconds)} computed`} kind="hit" />
      {same.length > 0 && <Tile value={span(totals(same).seconds)} name="computed to the same bytes" note={`${counted(same.length, 'step')}: may be accepted`} to={{ view: 'steps', q: 'same bytes' }} />}
      {running.length > 0 && <Tile value={number(running.length)} name="running" note="at the time of the report" kind="running" to={{ view: 'steps', o: 'running' }} />}
      <Tile value={number(bad.length)} name="without a good end" kind={bad.length ? 'bad' : ''} />
    </div>
    {bad.length > 0 && <Bad list={bad} />}
    <Matrix />
    <div class="two"><div><Causes />{few && <Software />}</div><div><Sums />{data.integrity.ok && <Integrity />}{!few && <Software />}</div></div>
  </>
}

function Bad({ list }) {
  const shown = list.slice(-20).reverse()
  return <Card id="bad" title="Without a good end"><Scroll name="steps without a good end"><table><thead><tr><th>step</th><th>scenario</th><th>end</th><th>message</th></tr></thead><tbody>
    {shown.map(step => <tr key={step.at}><td class="keep"><StepLink step={step} /></td><td class="keep"><bdi>{scenarios[step.s].id}</bdi></td><td><Tag o={step.o} /></td><td class="long">{step.et && step.em ? `${step.et}: ${step.em}` : step.em || step.et}</td></tr>)}
  </tbody></table></Scroll>{list.length > shown.length && <p class="quiet">The newest {shown.length} of {list.length}; the <Link to={{ view: 'steps', o: 'failed' }}>steps</Link> have all.</p>}</Card>
}

function Causes() {
  const list = useMemo(() => causes(steps), [])
  const most = Math.max(...list.map(entry => entry.seconds), 1e-9)
  const shown = list.slice(0, 12)
  return <Card id="causes" title="What made steps compute">
    <p class="quiet">The first cause, followed back through the inputs. A step with two causes counts under both.</p>
    {list.length ? <table class="bars"><thead><tr><th>first cause</th><th class="num">steps</th><th class="num">time</th><td class="barcell" /></tr></thead><tbody>
      {shown.map(({ what, steps: count, seconds, values }) => <tr key={what}>
        <td class="long"><Link to={{ view: 'steps', q: what }}>{what}</Link>{values.size > 0 && <small class="block">{[...values].slice(0, 3).join(', ')}{values.size > 3 && ` and ${values.size - 3} more`}</small>}</td>
        <td class="num">{number(count)}</td><td class="num">{span(seconds)}</td><td class="barcell" aria-hidden="true"><i class="bar" style={{ width: (100 * seconds) / most + '%' }} /></td></tr>)}
    </tbody></table> : <p>Nothing was computed.</p>}
    {list.length > shown.length && <details><summary>{list.length - shown.length} more</summary><ul>{list.slice(shown.length).map(entry => <li key={entry.what}>{entry.what}: {counted(entry.steps, 'step')}, {span(entry.seconds)}</li>)}</ul></details>}
  </Card>
}

function Sums() {
  const list = data.sums
  const most = Math.max(...list.map(item => item.seconds), 1e-9)
  return <Card id="sums" title="Where the time went"><Scroll name="sums by step"><table class="bars" id="sums"><thead><tr><th>step</th><th class="num">computed</th><th class="num">reused</th>{list.some(item => item.failed) && <th class="num">bad</th>}<th class="num">time</th><td class="barcell" /><th class="num">mean</th><th class="num">saved</th></tr></thead><tbody>
    {list.map(item => <tr key={item.step}><td class="keep"><Link to={{ view: 'steps', q: texts[item.step] }}>{texts[item.step]}</Link></td><td class="num">{number(item.computed)}</td><td class="num">{number(item.hits)}</td>
      {list.some(other => other.failed) && <td class={'num ' + (item.failed ? 'badtext' : '')}>{item.failed || ''}</td>}
      <td class="num">{span(item.seconds)}</td><td class="barcell" aria-hidden="true"><i class="bar" style={{ width: (100 * item.seconds) / most + '%' }} /></td>
      <td class="num">{item.computed ? span(item.seconds / item.computed) : ''}</td><td class="num">{item.hits ? span(item.saved_seconds) : ''}</td></tr>)}
  </tbody></table></Scroll></Card>
}

function Integrity() {
  const found = data.integrity
  const none = <span class="quiet">none</span>
  return <Card id="integrity" class={'integrity ' + (found.ok ? 'good' : 'bad')} title={found.ok ? '✓ The record is whole' : '✕ The record is not whole'}>
    {found.ok ? <p>Each of its {number(found.events)} events was checked against the chain when this report was made.</p>
      : <><p><b>Do not rely on what this report shows.</b> The check found:</p><ul>{found.problems.map(problem => <li key={problem}>{problem}</li>)}</ul><p><code>consist-es verify</code> tells more.</p></>}
    <dl>
      <dt>state</dt><dd>event {found.position}, chain <code>{found.chain}</code></dd>
      <dt>tree head</dt><dd>{found.head ? <><pre>{found.head.trim()}</pre><small>{found.signed ? 'signed' : 'not signed'}. Whoever keeps these lines elsewhere can later show that nothing was changed.</small></> : <span class="quiet">none was made: <code>consist-es checkpoint</code></span>}</dd>
      <dt>redacted</dt><dd>{found.redacted ? counted(found.redacted, 'event') : none}</dd>
      <dt>lost</dt><dd>{found.lost ? counted(found.lost, 'event') : none}</dd>
      <dt>accepted changes</dt><dd>{found.accepted || none}</dd>
    </dl>
  </Card>
}

function Software() {
  return <Card id="software" title="Software and machines">
    {data.environments.map(env => <details key={env.digest}><summary>Python {texts[env.python]}, {counted((env.packages || []).length, 'package')}{env.commit !== null && env.commit !== undefined ? `, commit ${texts[env.commit]}${env.dirty ? ' with changes' : ''}` : ', no git commit'} <code class="quiet">{texts[env.digest]}</code></summary>
      <p class="quiet">{texts[env.platform]}</p><p class="packages">{(env.packages || []).map(name => <code key={name}>{texts[name]} </code>)}</p></details>)}
    {!data.environments.length && <p class="quiet">not recorded</p>}
    {data.writers.length > 0 && <p class="quiet">Written by {data.writers.map(writer => texts[writer]).join(', ')}.</p>}
    <p class="quiet">Report of {clock(data.made)} by consist-es {data.version}.</p>
  </Card>
}
