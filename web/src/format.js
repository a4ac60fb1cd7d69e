// Numbers, times and sizes as the command line writes them.
const two = number => String(number).padStart(2, '0')

export function span(seconds) {
  if (seconds === undefined || seconds === null) return ''
  if (seconds < 0.1) return (seconds * 1000).toFixed(1) + ' ms'
  if (seconds < 60) return seconds.toFixed(seconds < 10 ? 2 : 1) + ' s'
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60), hours = Math.floor(minutes / 60)
  return hours ? `${hours} h ${two(minutes % 60)} min ${two(whole % 60)} s` : `${minutes} min ${two(whole % 60)} s`
}

export function bytes(count) {
  if (count === undefined || count === null) return ''
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let at = 0
  while (count >= 1000 && at < 4) { count /= 1000; at++ }
  return (at && count < 10 ? count.toFixed(1) : count.toFixed(0)) + ' ' + units[at]
}

export const clock = ms => (ms === undefined ? '' : new Date(ms).toISOString().slice(0, 19).replace('T', ' ') + 'Z')
export const percent = (part, whole) => (whole ? Math.round((100 * part) / whole) + ' %' : '–')
export const counted = (number, noun) => `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`
export const number = count => count.toLocaleString('en')
export const short = (name, longest) => (name.length > longest ? name.slice(0, longest - 1) + '…' : name)
