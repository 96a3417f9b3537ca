import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { INPUTS_KEY } from "@/api/cached";
import { call } from "@/api/client";
import { messageOf } from "@/api/problem";
import { useForbidden } from "@/app/identity";
import { SteerButton } from "@/app/SteerButton";
import { FormFieldInput } from "./FormFieldInput";
import { complaintsAbout, emptyDraft, fieldsOf, valuesOf } from "./fields";

export interface InputFormProps {
  conversationId: string;
  requestId: string;
  /** As the request has them. */
  fields: unknown;
}

/** The form that answers an input request. */
export function InputForm({ conversationId, requestId, fields: given }: InputFormProps) {
  const client = useQueryClient();
  const form = useId();
  const [fields] = useState(() => fieldsOf(given));
  const [draft, setDraft] = useState(() => emptyDraft(fields));
  const [complaints, setComplaints] = useState<Record<string, string>>({});
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(false);
  const why = useForbidden();
  const path = { conversation_id: conversationId, input_request_id: requestId };
  const settle = async (work: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
      await client.invalidateQueries({ queryKey: INPUTS_KEY });
    } catch (problem) {
      setError(messageOf(problem));
      setBusy(false);
    }
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    // Enter in a field submits a form without a button, too.
    if (why !== undefined) {
      setError(why);
      return;
    }
    const values = valuesOf(fields, draft);
    const found = complaintsAbout(fields, values);
    setComplaints(found);
    const first = fields.findIndex((field) => field.name in found);
    if (first >= 0) document.getElementById(`${form}-${first}`)?.focus();
    else
      void settle(() =>
        call("post", "/conversations/{conversation_id}/input-requests/{input_request_id}/responses", {
          path,
          body: { values },
        }),
      );
  };
  const withdraw = () =>
    settle(() =>
      call("post", "/conversations/{conversation_id}/input-requests/{input_request_id}/cancel", { path }),
    );
  return (
    <form noValidate onSubmit={submit} className="flex flex-col gap-4">
      {fields.map((field, index) => (
        <FormFieldInput
          key={field.name}
          id={`${form}-${index}`}
          field={field}
          value={draft[field.name] ?? null}
          error={complaints[field.name]}
          onChange={(value) => {
            setDraft({ ...draft, [field.name]: value });
            setComplaints({});
          }}
        />
      ))}
      {error ? (
        <p role="alert" className="text-sm text-bad">
          {error}
        </p>
      ) : null}
      <div className="flex gap-2">
        <SteerButton type="submit" tone="primary" busy={busy}>
          Send answer
        </SteerButton>
        <SteerButton tone="ghost" busy={busy} onClick={() => void withdraw()}>
          Decline to answer
        </SteerButton>
      </div>
    </form>
  );
}
