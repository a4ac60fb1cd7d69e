// Where boxes and lines of a lineage go: dagre, from left to right.
import * as dagre from '@dagrejs/dagre'

const CHARACTER = 7.7

/** Nodes [{ id, label, sub }] and edges [{ from, to, names }] with places; `names` stand on the lines if they fit. */
export function laidOut(nodes, edges, { named = true, tall = 38 } = {}) {
  const graph = new dagre.graphlib.Graph()
  graph.setGraph({ rankdir: 'LR', nodesep: 14, ranksep: named ? 30 : 40, marginx: 4, marginy: 4 })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const node of nodes) graph.setNode(String(node.id), { width: Math.max(84, Math.max(node.label.length + (node.wide || 0), (node.sub || '').length * 0.86) * CHARACTER + 26), height: tall })
  for (const edge of edges.filter(edge => edge.from !== edge.to)) {
    const wide = named ? Math.min(120, edge.names.join(', ').length * 5.6) : 0
    graph.setEdge(String(edge.from), String(edge.to), { width: wide, height: named ? 11 : 0, labelpos: 'c' })
  }
  dagre.layout(graph)
  const { width, height } = graph.graph()
  return {
    width: width || 100, height: height || 60,
    nodes: nodes.map(node => { const at = graph.node(String(node.id)); return { ...node, x: at.x - at.width / 2, y: at.y - at.height / 2, w: at.width, h: at.height } }),
    edges: edges.map(edge => { if (edge.from === edge.to) return { ...edge, ...loop(graph.node(String(edge.from))) }; const at = graph.edge(String(edge.from), String(edge.to)); return { ...edge, d: curve(at.points), x: at.x ?? at.points[1]?.x, y: at.y ?? at.points[1]?.y } }),
  }
}

/** A line from a box over its top back to itself. */
function loop({ x, y, width, height }) {
  const top = y - height / 2, far = Math.min(22, width / 4)
  return { d: `M${x + far} ${top}C${x + far} ${top - 26} ${x - far} ${top - 26} ${x - far} ${top}`, x, y: top - 22 }
}

/** A smooth line through the points of an edge. */
function curve(points) {
  let d = `M${at(points[0])}`
  for (let k = 1; k < points.length - 1; k++) {
    const next = k === points.length - 2 ? points[k + 1] : { x: (points[k].x + points[k + 1].x) / 2, y: (points[k].y + points[k + 1].y) / 2 }
    d += `Q${at(points[k])} ${at(next)}`
  }
  return points.length === 2 ? d + `L${at(points[1])}` : d
}
const at = ({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`
