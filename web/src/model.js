// The data of the page: columns and tables of numbers become steps, scenarios and files. Nothing here touches the page.
//
// Texts, values, configs and files stand once each, and are meant by number. The short names of columns:
//   scenarios  id name at(tempt) st(atus) t(ime, ms) d(uration, s) ds (description) tg (tags) cf (config: name, key, text of each leaf)
//              fa (facet, as leaves) env(ironment) er(ror) fs (step that failed) x (1: steps outside any scenario)
//   steps      s(cenario) id n(ame) y(ear) i(teration) p(hase) g (stage) m(odel, if it is not the name) o(utcome)
//              t(ime, ms) d(uration, s) q (position) fn (function) fp (fingerprint) cf (config) iq (inputs) mk (makings)
//              in: [role, file, how, digest] or [role, file]; out: [key, file]
//              src (run that answered, or the nearest one) srx (its id, if it is not here) sv (saved, s) no(tes)
//              re(ason) df: differences [words, file?] rc: first causes [words, runs, first run, its id?]
//              sb (1: computed to the same bytes) et, em, tb (error) nr (why it is not reusable)
//              log, resources (where they are recorded)
//   files      k(ey) u(ri) tp (table) g (digest) h (its beginning) z (bytes) r(ows) f(ormat) c(olumns) ev(icted on)
//              by (step that made it) byx (its id, if it is not here)

export let data, texts, scenarios, steps, files, outcomes

const rowsOf = columns => {
  const names = Object.keys(columns)
  const length = names.length ? columns[names[0]].length : 0
  return Array.from({ length }, (_, at) => {
    const row = { at }
    for (const name of names) if (columns[name][at] !== null) row[name] = columns[name][at]
    return row
  })
}
const worded = (rows, names) => rows.forEach(row => names.forEach(name => { if (row[name] !== undefined) row[name] = texts[row[name]] }))

/** Take the data in; everything else of this module is of use only after that. */
export function load(found) {
  data = found
  texts = data.texts
  outcomes = data.outcomes
  scenarios = rowsOf(renamed(data.scenarios, { at: 'attempt' }))
  steps = rowsOf(data.steps)
  files = rowsOf(data.files)
  worded(scenarios, ['id', 'name', 'st', 'ds', 'er', 'fs'])
  worded(steps, ['id', 'n', 'p', 'g', 'm', 'fn', 'srx', 're', 'et', 'em', 'tb', 'nr', 'log'])
  worded(files, ['k', 'u', 'tp', 'h', 'f', 'c', 'ev', 'byx'])
  scenarios.forEach(scenario => { scenario.steps = []; scenario.tags = (scenario.tg || []).map(tag => texts[tag]) })
  const seen = scenarios.map(() => new Map())
  for (const step of steps) {
    step.o = outcomes[step.o]
    step.label = [step.n, moment(step), step.p].filter(Boolean).join(' ')
    step.kind = step.n
    step.rc = (step.rc || []).map(([words, runs, first, outside]) => ({ what: texts[words], runs, first, outside: texts[outside] }))
    const slot = JSON.stringify([step.n, step.y, step.i, step.p])
    const nth = (seen[step.s].get(slot) || 0) + 1
    seen[step.s].set(slot, nth)
    step.slot = slot + nth
    scenarios[step.s].steps.push(step)
  }
  linkUsers()
}

const renamed = (columns, names) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [names[name] || name, values]))

/** Name of a step -> its steps. */
export function byName(list) {
  const found = new Map()
  for (const step of list) {
    if (!found.has(step.n)) found.set(step.n, [])
    found.get(step.n).push(step)
  }
  return found
}

/** Year and iteration: `2030·1`, `2030`, `·1`; empty without. */
export const moment = step => (step.y ?? '') + (step.i === undefined ? '' : '·' + step.i)

// ------------------------------------------------------------------ who made and used what

let usersOf

/** Note for each input the step that made it: in its scenario, for a hit's files are its own too, or wherever it was. */
function linkUsers() {
  const makers = scenarios.map(() => new Map())
  usersOf = new Map()
  for (const step of steps) {
    step.from = (step.in || []).map(([, file]) => makers[step.s].get(file) ?? (files[file].by < step.at ? files[file].by : undefined))
    for (const maker of new Set(step.from)) {
      if (maker === undefined) continue
      if (!usersOf.has(maker)) usersOf.set(maker, [])
      usersOf.get(maker).push(step.at)
    }
    for (const [, file] of step.out || []) makers[step.s].set(file, step.at)
  }
}

/** The steps that made a step's inputs, each with the roles of these. */
export function above(step) {
  const found = new Map()
  ;(step.in || []).forEach(([role], nth) => {
    const maker = step.from[nth]
    if (maker !== undefined) found.set(maker, [...(found.get(maker) || []), role])
  })
  return found
}
/** The steps that used what a step made. */
export const below = step => usersOf.get(step.at) || []

/** The step that made an input of another one. */
export function madeFor(step, file) {
  const nth = (step.in || []).findIndex(([, input]) => input === file)
  return nth < 0 ? undefined : step.from[nth]
}

// ------------------------------------------------------------------ sums

export const BAD = new Set(['failed', 'interrupted', 'abandoned'])

/** Counts and seconds of some steps, as `consist-es stats` counts them. */
export function totals(list) {
  const sum = { n: list.length, computed: 0, hits: 0, failed: 0, running: 0, seconds: 0, saved: 0 }
  for (const step of list) {
    if (step.o === 'hit') { sum.hits++; sum.saved += step.sv || 0 } else { sum.computed++; sum.seconds += step.d || 0 }
    if (BAD.has(step.o)) sum.failed++
    if (step.o === 'running') sum.running++
  }
  return sum
}

/** First causes of computed steps: what, number of steps, seconds, and the values that it took. */
export function causes(list) {
  const found = new Map()
  for (const step of list) {
    const mine = new Map()
    for (const { what } of step.rc) {
      const cut = / → /.test(what) ? what.indexOf(': ') : -1
      const [name, values] = cut < 0 ? [what, null] : [what.slice(0, cut), what.slice(cut + 2)]
      mine.set(name, [...(mine.get(name) || []), values].filter(Boolean))
    }
    for (const [name, values] of mine) {
      const entry = found.get(name) || { what: name, steps: 0, seconds: 0, values: new Set() }
      entry.steps++
      entry.seconds += step.d || 0
      values.forEach(value => entry.values.add(value))
      found.set(name, entry)
    }
  }
  return [...found.values()].sort((a, b) => b.seconds - a.seconds || b.steps - a.steps)
}

// ------------------------------------------------------------------ columns of the matrix

/** Places of steps across scenarios: the same step stands in the same column, wherever its scenario began to differ. */
export function aligned() {
  const order = []
  const known = new Set()
  for (const scenario of scenarios) {
    const first = scenario.steps.find(step => known.has(step.slot))
    let after = (first ? order.indexOf(first.slot) : order.length) - 1
    for (const step of scenario.steps) {
      if (known.has(step.slot)) { after = order.indexOf(step.slot); continue }
      known.add(step.slot)
      order.splice(++after, 0, step.slot)
    }
  }
  const longest = Math.max(0, ...scenarios.map(scenario => scenario.steps.length))
  if (order.length > 3 * longest + 10 || order.length > 4000) return null // other models: nothing to align
  return new Map(order.map((slot, column) => [slot, column]))
}
