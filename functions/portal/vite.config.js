import { defineConfig } from 'vite'

// One script and one style sheet with fixed names: the program that serves them puts a hash of what is in them into their addresses.
export default defineConfig({
  publicDir: 'public',
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    modulePreload: false,
    target: 'es2022',
    cssCodeSplit: false,
    rollupOptions: {
      input: 'src/main.ts',
      output: {
        entryFileNames: 'portal.js',
        assetFileNames: 'portal[extname]',
        codeSplitting: false,
      },
    },
  },
})
