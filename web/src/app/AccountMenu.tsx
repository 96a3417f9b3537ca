import { BookOpen, CircleHelp, Ellipsis, LogOut, Monitor, Moon, Sun } from "lucide-react";
import { signOut } from "@/api/session";
import { useStore } from "@/api/store";
import { Button } from "@/design/Button";
import { Menu, MenuItem } from "@/design/Menu";
import { chooseTheme, type Theme, theme } from "./theme";

const THEMES = [
  { name: "system", label: "Theme of the system", Icon: Monitor },
  { name: "light", label: "Light", Icon: Sun },
  { name: "dark", label: "Dark", Icon: Moon },
] as const satisfies readonly { name: Theme; label: string; Icon: unknown }[];

export function AccountMenu({ onHelp }: { onHelp: () => void }) {
  const chosen = useStore(theme);
  return (
    <Menu
      align="end"
      trigger={
        <Button tone="ghost" aria-label="Theme, help and sign out" icon={<Ellipsis className="size-4" />} />
      }
    >
      {THEMES.map(({ name, label, Icon }) => (
        <MenuItem key={name} icon={<Icon className="size-4 text-muted" />} onSelect={() => chooseTheme(name)}>
          {label}
          {chosen === name ? <span className="ml-auto pl-4 text-xs text-muted">chosen</span> : null}
        </MenuItem>
      ))}
      <div className="my-1 border-t border-line" />
      <MenuItem
        icon={<BookOpen className="size-4 text-muted" />}
        onSelect={() => window.open("/docs", "_blank")}
      >
        API reference
      </MenuItem>
      <MenuItem icon={<CircleHelp className="size-4 text-muted" />} onSelect={onHelp}>
        Keyboard
      </MenuItem>
      <MenuItem icon={<LogOut className="size-4 text-muted" />} onSelect={signOut}>
        Sign out
      </MenuItem>
    </Menu>
  );
}
