// All about one step, beside whatever view is open.
import { useEffect, useRef, useState } from 'preact/hooks'
import { bytes, clock, counted, number, span } from './format.js'
import { data, files, madeFor, scenarios, steps, texts } from './model.js'
import { Link, RunLink, Tag } from './parts.jsx'
import { go } from './route.js'

const SHOWN = 40, FEW = 6

const taken = { wall_s: 'time', cpu_s: 'CPU time', peak_memory_bytes: 'most memory', read_bytes: 'read', written_bytes: 'written' }

export function Sheet({ at }) {
  const step = steps[at], scenario = scenarios[step.s], sheet = useRef()
  useEffect(() => { sheet.current.focus({ preventScroll: true }); sheet.current.scrollTop = 0 }, [at])
  useEffect(() => {
    const key = event => { if (event.key === 'Escape') go({ step: '' }) }
    addEventListener('keydown', key)
    return () => removeEventListener('keydown', key)
  }, [])
  const nth = scenario.steps.indexOf(step), [before, after] = [scenario.steps[nth - 1], scenario.steps[nth + 1]]
  return <aside class="sheet" aria-labelledby="h-sheet" ref={sheet} tabIndex={-1}>
    <header><div><h2 id="h-sheet">{step.label}</h2><p class="quiet">of <bdi>{scenario.id}</bdi>, run <code>{step.id}</code></p></div>
      <span class="buttons"><button disabled={!before} onClick={() => go({ step: before.at })} aria-label="step before">↑</button><button disabled={!after} onClick={() => go({ step: after.at })} aria-label="step after">↓</button><button onClick={() => go({ step: '' })} aria-label="close">✕</button></span></header>
    <p><Tag o={step.o} /> {step.d !== undefined && <b>{span(step.d)}</b>}{step.sv ? `, saved ${span(step.sv)}` : ''} <span class="quiet">{clock(step.t)}, event {step.q}</span></p>
    {(step.em || step.et) && <div class="error"><b>{step.et}</b> {step.em}{step.tb && <details><summary>traceback</summary><pre>{step.tb}</pre></details>}</div>}
    {step.log && <details class="box" open={!!step.em}><summary>what it printed</summary><pre>{step.log}</pre></details>}
    <h3>Why</h3><Why step={step} />
    {step.nr && <p class="quiet">Not reused later: {step.nr}</p>}
    {step.resources && <><h3>Resources</h3><dl>{Object.entries(step.resources).map(([name, value]) => <><dt>{taken[name] || name}</dt><dd>{name.endsWith('_s') ? span(value) : bytes(value)}</dd></>)}</dl></>}
    <h3>Config</h3><Config step={step} />
    <h3>Inputs</h3><Files list={step.in} step={step} />
    <h3>Outputs</h3><Files list={step.out} step={step} made />
    {step.fn && <><h3>Function</h3><p><code>{step.fn}</code></p></>}
    <p class="buttons"><Link to={{ view: 'lineage', focus: at, sc: step.s }} class="button">lineage</Link>
      <Copy text={`consist-es why '${exact(step.id).replaceAll("'", `'\\''`)}'`} /></p>
  </aside>
}

function Why({ step }) {
  if (step.o === 'hit') return <><p>An earlier run did the same work: <RunLink at={step.src} id={step.srx} />. Its outputs were checked before they were used.</p>{(step.no || []).map(note => <p key={note} class="quiet">{texts[note]}</p>)}</>
  if (!step.re && !step.rc.length) return <p class="quiet">It was not looked up.</p>
  const near = step.src !== undefined || step.srx
  return <>
    <p>{sentence(step.re || 'computed')}{near ? <>. The nearest earlier run is <RunLink at={step.src} id={step.srx} />{step.df ? ':' : '.'}</> : '.'}</p>
    {step.df && <ul class="differences">{step.df.map(([words, file]) => <li key={words}>{texts[words]}{file !== undefined && <Maker file={file} step={step} />}</li>)}</ul>}
    {step.rc.length > 0 && <div class="roots"><b>First cause</b><ul>{step.rc.slice(0, FEW).map(cause => <Cause key={cause.what} cause={cause} step={step} />)}</ul>
      {step.rc.length > FEW && <details><summary>{step.rc.length - FEW} more</summary><ul>{step.rc.slice(FEW).map(cause => <Cause key={cause.what} cause={cause} step={step} />)}</ul></details>}</div>}
    {step.sb && <p class="note">It was computed to the same bytes as that run. If the change is harmless, <code>consist-es accept {exact(step.id)}</code> spares such runs.</p>}
  </>
}
const Cause = ({ cause: { what, first, runs, outside }, step }) => <li>{what}{first !== step.at && <span class="quiet">, in <RunLink at={first} id={outside} />{runs > 1 && ` and ${runs - 1} later`}</span>}</li>

/** An id as selector: without a number it would mean the latest attempt. */
const exact = id => (/#\d+$/.test(id) ? id : id + '#1')
const sentence = text => text.charAt(0).toUpperCase() + text.slice(1)

function Maker({ file, step }) {
  const at = madeFor(step, file)
  if (at === undefined && !files[file].byx) return null
  return <span class="quiet">, made by <RunLink at={at} id={files[file].byx} /></span>
}

function Config({ step }) {
  const row = step.cf === undefined ? null : data.configs[step.cf]
  if (row?.[2]) return <p class="quiet">redacted</p>
  const leaves = row ? leavesOf(row[0], '') : []
  if (!leaves.length) return <p class="quiet">none</p>
  return <table class="facts"><tbody>{leaves.slice(0, 400).map(([name, value]) => <tr key={name}><th scope="row">{name}</th><td>{value}</td></tr>)}</tbody></table>
}
function leavesOf(at, name) {
  const [text, kind, parts] = data.values[at]
  if (kind === 0 && parts.length) {
    const found = []
    for (let k = 0; k < parts.length; k += 2) found.push(...leavesOf(parts[k + 1], name ? `${name}.${texts[parts[k]]}` : texts[parts[k]]))
    return found
  }
  return text === data.none && !name ? [] : kind === 0 && !name ? [] : [[name || 'config', texts[text]]]
}

function Files({ list, step, made }) {
  const [all, setAll] = useState(false)
  if (!list) return <p class="quiet">none</p>
  return <><ul class="files">{(all ? list : list.slice(0, SHOWN)).map(([name, at], nth) => <li key={nth}><File name={texts[name]} file={files[at]} at={at} step={step} made={made} /></li>)}</ul>
    {!all && list.length > SHOWN && <button onClick={() => setAll(true)}>{list.length - SHOWN} more</button>}</>
}

function File({ name, file, at, step, made }) {
  const maker = made ? undefined : madeFor(step, at)
  const rows = file.r === undefined ? '' : counted(file.r, 'row')
  return <><b>{name}</b> <span class="quiet">{[file.f, rows, bytes(file.z), file.tp].filter(Boolean).join(', ')}</span>
    <span class="path">{file.u}</span>{file.h && <code class="quiet">{file.h}</code>}
    {!made && <span class="by">{maker !== undefined || file.byx ? <>made by <RunLink at={maker} id={file.byx} /></> : <span class="quiet">from outside</span>}</span>}
    {made && step.o === 'hit' && (file.by !== undefined || file.byx) && <span class="by">made by <RunLink at={file.by} id={file.byx} /></span>}
    {file.ev && <span class="by">evicted on {file.ev} to make room{file.by === undefined ? '' : '; its step makes it again'}</span>}
    {file.c && <details><summary>{number(file.c.split('\n').length)} columns</summary><ul class="columns">{file.c.split('\n').map(column => <li key={column}><code>{column}</code></li>)}</ul></details>}</>
}

function Copy({ text }) {
  const [done, setDone] = useState(false)
  useEffect(() => setDone(false), [text])
  return <button onClick={() => navigator.clipboard?.writeText(text).then(() => setDone(true))} title={text}>{done ? 'copied' : 'copy the command'}</button>
}
