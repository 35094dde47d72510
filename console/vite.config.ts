import { defineConfig } from 'vite'

export default defineConfig({
  root: import.meta.dirname,
  base: '/console/',
  // Warnings are about “use client” in each file of the component library, which means nothing here.
  logLevel: 'error',
  build: {
    emptyOutDir: true,
    // Fonts and icons stay files of their own: the hub serves them with a long cache.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1200,
    // What is bundled keeps its licences beside it.
    license: { fileName: 'licences.md' },
  },
})
