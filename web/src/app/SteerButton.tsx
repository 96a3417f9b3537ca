import { Button, type ButtonProps } from "@/design/Button";
import { cx } from "@/design/cx";
import { Tooltip } from "@/design/Tooltip";
import { useForbidden } from "./identity";

/** A button that changes something. Who may only look can reach it, but not press it, and is told why. */
export function SteerButton(props: ButtonProps) {
  const why = useForbidden();
  if (why === undefined) return <Button {...props} />;
  return (
    <Tooltip text={why}>
      <Button
        {...props}
        type="button"
        aria-disabled
        onClick={undefined}
        className={cx(props.className, "cursor-not-allowed! opacity-50")}
      />
    </Tooltip>
  );
}
