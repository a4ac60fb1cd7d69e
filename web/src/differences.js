// How two steps differ: the rules of consist_es/identity/differences.py and consist_es/reading/compare.py, for any two.
// tests/report compares every pair of a project with what `consist-es diff --json` says.
import { data, files, scenarios, texts } from './model.js'

export const SAME = 'same', ITSELF = 'differs itself', BY_INPUTS = 'by its inputs', ONLY_A = 'only in A', ONLY_B = 'only in B'
export const VERDICTS = [SAME, ITSELF, BY_INPUTS, ONLY_A, ONLY_B]
const LISTED = 20
const DICT = 0, LIST = 1, OBJECT = 2

const text = number => texts[number]
const pairsOf = flat => { const found = new Map(); for (let k = 0; k < flat.length; k += 2) found.set(flat[k], flat[k + 1]); return found }
const written = number => (number === undefined ? text(data.none) : text(data.values[number][0]))
const config = (key, before, after) => ({ kind: 'config', key, words: `config ${key}: ${written(before)} → ${written(after)}` })

function tree(before, after, key) {
  if (before === after) return []
  const [a, b] = [data.values[before], data.values[after]]
  if (a[1] === DICT && b[1] === DICT) {
    const [old, now] = [pairsOf(a[2]), pairsOf(b[2])]
    return [...new Set([...old.keys(), ...now.keys()])].flatMap(name => {
      const inner = key ? `${key}.${text(name)}` : text(name)
      if (old.has(name) && now.has(name)) return tree(old.get(name), now.get(name), inner)
      return [config(inner, old.get(name), now.get(name))]
    })
  }
  if (a[1] === OBJECT && b[1] === OBJECT && a[3] === b[3]) {
    const found = tree(a[2][0], b[2][0], key)
    if (a[4] !== b[4]) found.push({ kind: 'config', key, words: `config ${key}: ${text(a[4])} → ${text(b[4])}` })
    return found
  }
  if (a[1] === LIST && b[1] === LIST && a[2].length === b[2].length)
    return a[2].flatMap((item, at) => tree(item, b[2][at], `${key}[${at}]`))
  const both = [a, b].map(row => text(row[1] === DICT && row[3] !== undefined ? row[3] : row[0]))
  return [{ kind: 'config', key, words: `config ${key}: ${both[0]} → ${both[1]}` }]
}

function configs(a, b) {
  const [old, now] = [data.configs[a.cf], data.configs[b.cf]]
  if (old[1] === now[1]) return []
  if (old[2]) return [{ kind: 'config', key: '', words: 'config differs; what it was is no longer recorded' }]
  const found = tree(old[0], now[0], '').map(item => (item.key ? item : { ...item, words: `config: ${text(old[3])} -> ${text(now[3])}` }))
  return found.length ? found : [{ kind: 'config', key: '', words: 'config differs' }]
}

/** Inputs that count for identity, by the way they came and their role. */
const counted = step => new Map((step.in || []).filter(input => input.length > 2).map(([role, file, how, digest]) => [`${how} ${role}`, { role: text(role), file, digest }]))

function inputs(a, b) {
  if (a.iq === b.iq) return []
  const [old, now] = [counted(a), counted(b)]
  const found = []
  for (const place of new Set([...old.keys(), ...now.keys()])) {
    const [before, after] = [old.get(place), now.get(place)]
    if (before && after && before.digest === after.digest) continue
    const { role } = before || after
    found.push({ kind: 'input', key: role, words: `input ${role}`, before: before?.file, after: after?.file })
  }
  const same = 'inputs: same content, but a file name, driver, or table differs'
  return found.length ? found : [{ kind: 'input', key: '', words: same }]
}

function makings(a, b) {
  const found = data.makings[`${a.mk},${b.mk}`]
  if (found) return found.map(([kind, words, follows]) => ({ kind: text(kind), key: text(words), words: text(words), follows: !!follows }))
  return a.mk === b.mk ? [] : [{ kind: 'code', key: 'code', words: 'code, or what else counts: see consist-es diff', follows: false }]
}

/** Differences from A to B, most likely cause first; without those that only follow from another. */
function differences(a, b) {
  if (a.mk === undefined || b.mk === undefined) return { all: [], telling: [] }
  const all = [...configs(a, b), ...inputs(a, b), ...makings(a, b)].slice(0, LISTED)
  const code = all.filter(item => item.kind === 'code')
  const first = code.filter(item => !item.follows)
  const kept = first.length ? first : code
  return { all, telling: all.filter(item => item.kind !== 'code' || kept.includes(item)) }
}

const isMade = file => files[file].by !== undefined || files[file].byx !== undefined

/** True unless it is an input that a step made. */
function isOwn(item) {
  if (item.kind !== 'input') return true
  const sides = [item.before, item.after].filter(side => side !== undefined)
  return !sides.length || !sides.every(isMade)
}

function outputs(a, b) {
  const theirs = new Map((b.out || []).map(([key, file]) => [key, files[file]]))
  return (a.out || []).filter(([key]) => theirs.has(key)).map(([key, file]) => {
    const [one, other] = [files[file], theirs.get(key)]
    return { key: text(key), same: one.g !== undefined && one.g === other.g, rows: [one.r, other.r] }
  })
}

/** What came of it, in words. */
export function cameOut(pair) {
  if (pair.verdict === SAME || !pair.outputs.length) return ''
  if (pair.outputs.every(item => item.same)) return 'same bytes'
  return pair.outputs.filter(({ rows: [a, b] }) => a !== undefined && b !== undefined && a !== b).map(item => `${item.key} ${item.rows[0]} → ${item.rows[1]} rows`).join(', ')
}

function pair(a, b) {
  const { label, slot } = a || b
  if (!a || !b) return { label, slot, a, b, verdict: a ? ONLY_A : ONLY_B, telling: [], outputs: [], words: a ? ONLY_A : ONLY_B }
  const outs = outputs(a, b)
  if (a.fp !== undefined && a.fp === b.fp) return { label, slot, a, b, verdict: SAME, telling: [], outputs: outs, words: '' }
  const { all, telling } = differences(a, b)
  const verdict = !all.length || all.some(isOwn) ? ITSELF : BY_INPUTS
  return { label, slot, a, b, verdict, telling, outputs: outs, words: telling.map(item => item.words).join('; ') || verdict }
}

/** Two scenarios step by step, paired by name, year, iteration, phase, and how often that came before. */
export function compare(A, B) {
  const sides = [A, B].map(at => new Map(scenarios[at].steps.map(step => [step.slot, step])))
  const slots = [...new Set([...sides[0].keys(), ...sides[1].keys()])]
  const pairs = slots.map(slot => pair(sides[0].get(slot), sides[1].get(slot)))
  const counts = Object.fromEntries(VERDICTS.map(verdict => [verdict, pairs.filter(item => item.verdict === verdict).length]).filter(([, count]) => count))
  return { pairs, counts, first: pairs.find(item => item.verdict !== SAME) }
}

/** Name -> what it is compared by, and how it is written. */
function leavesOf(flat) {
  const found = new Map()
  for (let k = 0; k < flat.length; k += 3) found.set(flat[k], [flat[k + 1], flat[k + 2]])
  return found
}

/** Leaves of two scenarios' configs that differ: key, before, after, as text. */
export function ownConfig(A, B) {
  const [old, now] = [A, B].map(at => leavesOf(scenarios[at].cf || []))
  const side = (leaves, name) => leaves.get(name) || [null, data.none]
  return [...new Set([...old.keys(), ...now.keys()])].filter(name => side(old, name)[0] !== side(now, name)[0]).map(name => ({ key: text(name), a: text(side(old, name)[1]), b: text(side(now, name)[1]) }))
}
