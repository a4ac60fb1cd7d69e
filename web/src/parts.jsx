// Small parts that several views share.
import { clock, span } from './format.js'
import { outcomes, scenarios, steps } from './model.js'
import { address, go } from './route.js'

export const MARK = { computed: '●', hit: '↺', demoted: '◐', failed: '✕', interrupted: '■', abandoned: '?', running: '…', imported: '⇥' }
export const WORD = { computed: 'computed', hit: 'reused', demoted: 'hit, then computed', failed: 'failed', interrupted: 'interrupted', abandoned: 'abandoned', running: 'running', imported: 'imported' }

export const Tag = ({ o }) => <span class={'tag ' + o}><span aria-hidden="true">{MARK[o]} </span>{WORD[o]}</span>

export const Link = ({ to, from, children, ...rest }) => <a href={address(to, from)} {...rest}>{children}</a>

export const StepLink = ({ step, long }) => <Link to={{ step: step.at }} class="name">{long ? `${step.label} of ${scenarios[step.s].id}` : step.label}</Link>

/** A run that may not be in the report: then its id. */
export const RunLink = ({ at, id }) => at !== undefined && at !== null
  ? <span><StepLink step={steps[at]} /> <small>of <bdi>{scenarios[steps[at].s].id}</bdi></small></span>
  : <code>{id}</code>

export function Legend({ list = steps }) {
  const counts = new Map()
  list.forEach(step => counts.set(step.o, (counts.get(step.o) || 0) + 1))
  return <ul class="legend" aria-label="outcomes">{outcomes.filter(o => counts.has(o)).map(o =>
    <li key={o}><i class={'o ' + o} aria-hidden="true" /> {WORD[o]} <small>{counts.get(o).toLocaleString('en')}</small></li>)}</ul>
}

export function Select({ name, value, options, onPick, none }) {
  return <label>{name} <select value={value ?? ''} onChange={event => onPick(event.target.value)}>
    {none !== undefined && <option value="">{none}</option>}
    {options.map(([key, text]) => <option key={key} value={key}>{text}</option>)}</select></label>
}
export const scenarioOptions = () => scenarios.map(scenario => [scenario.at, scenario.id])
export const ScenarioSelect = props => <Select {...props} options={scenarioOptions()} />

/** Zoom buttons of a drawing. */
export const Zoom = ({ onZoom, onAll }) => <span class="buttons" role="group" aria-label="zoom">
  <button onClick={() => onZoom(0.6)} aria-label="zoom in">+</button><button onClick={() => onZoom(1 / 0.6)} aria-label="zoom out">−</button><button onClick={onAll} aria-label="show all">all</button></span>

export const Card = ({ id, title, aside, class: kind = '', children }) => <section class={'card ' + kind} aria-labelledby={'h-' + id}>
  <div class="head"><h2 id={'h-' + id}>{title}</h2>{aside}</div>{children}</section>

/** A box that scrolls if there is no room; by keys, too. */
export const Scroll = ({ name, class: kind = '', children, ...rest }) => <div class={'scroll ' + kind} tabIndex={0} role="group" aria-label={name} {...rest}>{children}</div>

export function Tip({ tip }) {
  if (!tip) return null
  const { step, x, y } = tip
  const why = step.em || step.rc.slice(0, 3).map(cause => cause.what).join('; ') || (step.sv ? `saved ${span(step.sv)}` : '')
  return <div class="tip" style={{ left: x + 'px', top: y + 'px' }}><b>{step.label}</b> <Tag o={step.o} /><br /><bdi>{scenarios[step.s].id}</bdi>, {[span(step.d), clock(step.t)].filter(Boolean).join(' from ')}{why && <p>{why}</p>}</div>
}

/** Open a step from a key or a click that is not a link. */
export const open = step => go({ step: step.at })
