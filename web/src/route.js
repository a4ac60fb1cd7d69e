// Where we are: the address says it, so that every state can be sent to somebody.
import { useEffect, useState } from 'preact/hooks'

export function read() {
  const [view, query = ''] = location.hash.replace(/^#\/?/, '').split('?')
  return { view: view || 'overview', ...Object.fromEntries(new URLSearchParams(query)) }
}

export function address(change, from = read()) {
  const { view, ...rest } = { ...from, ...change }
  const query = new URLSearchParams(Object.entries(rest).filter(([, value]) => value !== undefined && value !== '' && value !== null))
  return '#/' + view + (String(query) ? '?' + query : '')
}

/** Go to a state that differs from this one; `replace` without a step back, as for each letter of a search. */
export function go(change, replace = false) {
  const next = address(change)
  if (next === location.hash) return
  history[replace ? 'replaceState' : 'pushState'](null, '', next)
  dispatchEvent(new HashChangeEvent('hashchange'))
}

export function useRoute() {
  const [route, set] = useState(read)
  const [first] = useState(location.hash)
  useEffect(() => {
    const changed = () => set(read())
    addEventListener('hashchange', changed)
    addEventListener('popstate', changed)
    if (location.hash !== first) changed() // it changed before anybody listened
    return () => { removeEventListener('hashchange', changed); removeEventListener('popstate', changed) }
  }, [])
  return route
}

/** A number in the address if it is one of `count` things. */
export function within(text, count) {
  const at = text === undefined ? NaN : Number(text)
  return Number.isInteger(at) && at >= 0 && at < count ? at : undefined
}
