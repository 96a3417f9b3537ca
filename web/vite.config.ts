import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = "http://127.0.0.1:4000";

// The server serves the build below /ui/. `npm run dev` passes everything else on to a server that runs.
export default defineConfig({
  base: "/ui/",
  plugins: [react(), tailwindcss()],
  resolve: { alias: { "@": new URL("./src", import.meta.url).pathname } },
  build: {
    outDir: "../src/perdure/http/dashboard/static",
    emptyOutDir: true,
    target: "es2023",
    // The Content-Security-Policy allows files only: nothing is inlined into the page.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { "^/(?!ui/)": { target: server, changeOrigin: false }, "/ui/sign-in": server } },
});
