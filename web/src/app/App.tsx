import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { newQueryClient } from "@/api/queries";
import { credential } from "@/api/session";
import { useStore } from "@/api/store";
import { Toaster } from "@/design/Toast";
import { TooltipProvider } from "@/design/Tooltip";
import { router } from "./router";
import { SignIn } from "./SignIn";
import { redeemLink } from "./signInLink";

export function App() {
  const [client] = useState(newQueryClient);
  const held = useStore(credential);
  const [redeeming, setRedeeming] = useState(true);
  useEffect(() => {
    void redeemLink().finally(() => setRedeeming(false));
  }, []);
  useEffect(() => {
    if (held === null) client.clear();
  }, [client, held]);
  if (held === null) return redeeming ? null : <SignIn />;
  return (
    <QueryClientProvider client={client}>
      <TooltipProvider delayDuration={300}>
        <RouterProvider router={router} />
        <Toaster />
      </TooltipProvider>
    </QueryClientProvider>
  );
}
