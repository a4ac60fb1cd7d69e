// Builds the page into the package. `npm ci && npm run build` gives the same bytes everywhere; a digest of the sources
// stands in the built script, so that a test can say without Node whether it is theirs.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const web = dirname(fileURLToPath(import.meta.url))
const target = process.argv[2] || join(web, '..', 'consist_es', 'report', 'built')
const sources = ['build.mjs', 'package-lock.json', 'package.json', ...readdirSync(join(web, 'src')).map(name => `src/${name}`)].sort()

const hash = createHash('sha256')
for (const name of sources) {
  const text = readFileSync(join(web, name))
  hash.update(`${name} ${text.length}\n`).update(text)
}

const made = await build({
  entryPoints: [join(web, 'src', 'main.jsx')], absWorkingDir: web, outdir: join(web, 'out'), write: false, bundle: true, minify: true, format: 'iife', target: 'es2022',
  jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none', logLevel: 'warning', charset: 'utf8',
})
const text = ending => made.outputFiles.find(file => file.path.endsWith(ending)).text
writeFileSync(join(target, 'report.js'), `// built from web/, sources ${hash.digest('hex')}; licences: THIRD-PARTY.txt\n${text('.js')}`)
writeFileSync(join(target, 'report.css'), text('.css'))

// from the lock file, for packages may hold others in one built file of theirs
const locked = JSON.parse(readFileSync(join(web, 'package-lock.json'), 'utf8')).packages
const packages = Object.keys(locked).filter(path => path && !locked[path].dev).map(path => path.replace(/^node_modules\//, '')).sort()
const licences = packages.map(name => {
  const folder = join(web, 'node_modules', name)
  const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, 'LICENSE'), 'utf8').trim()}\n`
})
writeFileSync(join(target, 'THIRD-PARTY.txt'), licences.join('\n----\n\n'))
