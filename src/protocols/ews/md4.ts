/** MD4 (RFC 1320) for the key of NTLM only; today's OpenSSL has it switched off. */
export function md4(message: Uint8Array): Buffer {
  const words = padded(message)
  let [a, b, c, d] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]
  for (let block = 0; block < words.length; block += 16) {
    const before = [a, b, c, d] as const
    for (const { mix, add, order, turns } of rounds) {
      for (let step = 0; step < 16; step += 1) {
        const word = words[block + (order[step] ?? 0)] ?? 0
        const sum = (a + mix(b, c, d) + word + add) >>> 0
        const turn = turns[step % 4] ?? 0
        const turned = ((sum << turn) | (sum >>> (32 - turn))) >>> 0
        ;[a, b, c, d] = [d, turned, b, c]
      }
    }
    a = (a + before[0]) >>> 0
    b = (b + before[1]) >>> 0
    c = (c + before[2]) >>> 0
    d = (d + before[3]) >>> 0
  }
  const digest = Buffer.alloc(16)
  for (const [index, word] of [a, b, c, d].entries()) digest.writeUInt32LE(word, index * 4)
  return digest
}

interface Round {
  readonly mix: (x: number, y: number, z: number) => number
  readonly add: number
  readonly order: readonly number[]
  readonly turns: readonly number[]
}

const rounds: readonly Round[] = [
  {
    mix: (x, y, z) => (x & y) | (~x & z),
    add: 0,
    order: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    turns: [3, 7, 11, 19],
  },
  {
    mix: (x, y, z) => (x & y) | (x & z) | (y & z),
    add: 0x5a827999,
    order: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
    turns: [3, 5, 9, 13],
  },
  {
    mix: (x, y, z) => x ^ y ^ z,
    add: 0x6ed9eba1,
    order: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
    turns: [3, 9, 11, 15],
  },
]

function padded(message: Uint8Array): Uint32Array {
  const bytes = Buffer.alloc((((message.length + 8) >> 6) + 1) * 64)
  bytes.set(message)
  bytes[message.length] = 0x80
  bytes.writeUInt32LE((message.length * 8) >>> 0, bytes.length - 8)
  const words = new Uint32Array(bytes.length / 4)
  for (let index = 0; index < words.length; index += 1) words[index] = bytes.readUInt32LE(index * 4)
  return words
}
