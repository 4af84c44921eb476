// Small parts every page is made of. Text always goes in as text: nothing here sets HTML.
import type { ComponentChildren, JSX } from "preact";
import { useCallback, useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError, get, sentence, told } from "../model/api.ts";
import type { Notice } from "../model/types.ts";
import { capital, plain } from "../model/words.ts";
import { Source } from "./source.tsx";

export function Panel(props: { title: string; note?: string; actions?: ComponentChildren; children?: ComponentChildren; class?: string; id?: string }) {
  const id = useId();
  return (
    <section class={`panel ${props.class ?? ""}`} aria-labelledby={id} id={props.id}>
      <header>
        <div>
          <h2 id={id}>{props.title}</h2>
          {props.note && <p>{props.note}</p>}
        </div>
        {props.actions && <div class="row">{props.actions}</div>}
      </header>
      {props.children}
    </section>
  );
}

export function Empty(props: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h3>{props.title}</h3>
      {props.children}
    </div>
  );
}

const MANY = 6;

/** A long list of what is allowed folds away behind its count. */
export function Trouble(props: { error: unknown; retry?: () => void }) {
  const problem = props.error instanceof ApiError ? props.error.problem : null;
  const allowed = typeof problem?.allowed === "string" ? problem.allowed.split(", ") : Array.isArray(problem?.allowed) ? problem.allowed.map(String) : [];
  const long = problem !== null && allowed.length > MANY;
  return (
    <div class="problem" role="alert">
      <strong>{capital(long ? sentence({ ...problem, allowed: null }) : told(props.error))}</strong>
      {long && <details><summary>What is allowed ({allowed.length})</summary><p class="small">{allowed.map(plain).join(", ")}</p></details>}
      {props.retry && <button onClick={props.retry}>Try again</button>}
    </div>
  );
}

const WORDS: Record<string, string> = { stop: "Stop", warn: "Warning", info: "Note" };

export function Notices(props: { notices: readonly Notice[]; empty?: string }) {
  if (!props.notices.length) return props.empty ? <p class="muted">{props.empty}</p> : null;
  const order = { stop: 0, warn: 1, info: 2 };
  const sorted = [...props.notices].sort((a, b) => order[a.severity] - order[b.severity]);
  const shared = sorted.length > 1 && sorted.every((one) => one.source === sorted[0]!.source) ? sorted[0]!.source : "";
  return (
    <ul class="notices">
      {sorted.map((one, k) => (
        <li class={`notice ${one.severity}`} key={`${one.code}${k}`}>
          <strong>{WORDS[one.severity] ?? one.severity}</strong>
          {one.text}
          {one.source && one.source !== shared && <div class="source"><Source text={one.source} /></div>}
        </li>
      ))}
      {shared && <li class="small muted">Of each: <Source text={shared} /></li>}
    </ul>
  );
}

interface FieldProps {
  label: string;
  unit?: string;
  hint?: string;
  wrong?: string;
  /** The label is read out, not shown: a table's head says it. */
  hideLabel?: boolean;
  children: (id: string, describedBy: string | undefined) => JSX.Element;
}

/** A longer hint needs the width of two fields. */
const LONG_HINT = 40;

export function Field(props: FieldProps) {
  const id = useId();
  const about = props.hint || props.wrong ? `${id}-about` : undefined;
  return (
    <div class={`field ${(props.hint?.length ?? 0) > LONG_HINT ? "long" : ""}`}>
      <label for={id} class={props.hideLabel ? "hidden" : ""}>{props.label}</label>
      {props.unit ? (
        <div class="with-unit">
          {props.children(id, about)}
          <span class="unit">{props.unit}</span>
        </div>
      ) : (
        props.children(id, about)
      )}
      {about && (
        <div id={about}>
          {props.hint && <div class="hint">{props.hint}</div>}
          {props.wrong && <div class="wrong">{props.wrong}</div>}
        </div>
      )}
    </div>
  );
}

interface InputProps<T> {
  label: string;
  value: T;
  onChange: (value: T) => void;
  unit?: string;
  hint?: string;
  wrong?: string;
  hideLabel?: boolean;
  disabled?: boolean;
}

export function TextField(props: InputProps<string> & { long?: boolean; type?: string; list?: string; placeholder?: string }) {
  return (
    <Field {...props}>
      {(id, about) => {
        const shared = { id, value: props.value, "aria-describedby": about, disabled: props.disabled ?? false, placeholder: props.placeholder };
        const change = (event: JSX.TargetedInputEvent<HTMLInputElement | HTMLTextAreaElement>) => props.onChange(event.currentTarget.value);
        return props.long ? <textarea {...shared} onInput={change} /> : <input type={props.type ?? "text"} list={props.list} {...shared} onInput={change} />;
      }}
    </Field>
  );
}

/** A number field keeps what is being typed, so that "1." is not eaten. */
export function NumberField(props: InputProps<number | null> & { min?: number; max?: number; step?: number | "any" }) {
  const [typed, setTyped] = useState<string | null>(null);
  const shown = typed ?? (props.value === null || props.value === undefined ? "" : String(props.value));
  const low = props.min !== undefined && props.value !== null && props.value < props.min;
  const high = props.max !== undefined && props.value !== null && props.value > props.max;
  const range = [props.min === undefined ? "" : `from ${props.min}`, props.max === undefined ? "" : `to ${props.max}`].filter(Boolean).join(" ");
  const wrong = props.wrong || (low || high ? `${props.value} is not allowed: ${range}.` : "");
  return (
    <Field {...props} wrong={wrong}>
      {(id, about) => (
        <input
          id={id}
          type="number"
          inputMode="decimal"
          value={shown}
          min={props.min}
          max={props.max}
          step={props.step ?? "any"}
          aria-describedby={about}
          aria-invalid={wrong ? "true" : undefined}
          disabled={props.disabled ?? false}
          onInput={(event) => {
            const text = event.currentTarget.value;
            setTyped(text);
            const value = text.trim() === "" ? null : Number(text);
            if (value === null || Number.isFinite(value)) props.onChange(value);
          }}
          onBlur={() => setTyped(null)}
        />
      )}
    </Field>
  );
}

export interface Option {
  value: string;
  label: string;
}

export interface Group {
  label: string;
  options: readonly Option[];
}

export function SelectField(props: InputProps<string> & { options: readonly Option[]; groups?: readonly Group[]; empty?: string }) {
  const known = [...props.options, ...(props.groups ?? []).flatMap((one) => one.options)].some((one) => one.value === props.value);
  return (
    <Field {...props}>
      {(id, about) => (
        <select id={id} value={props.value} aria-describedby={about} disabled={props.disabled ?? false} onChange={(event) => props.onChange(event.currentTarget.value)}>
          {props.empty !== undefined && <option value="">{props.empty}</option>}
          {!known && props.value && <option value={props.value}>{props.value}</option>}
          {props.options.map((one) => (
            <option value={one.value} key={one.value}>{one.label}</option>
          ))}
          {props.groups?.map((group) => (
            <optgroup label={group.label} key={group.label}>{group.options.map((one) => <option value={one.value} key={one.value}>{one.label}</option>)}</optgroup>
          ))}
        </select>
      )}
    </Field>
  );
}

export function CheckField(props: { label: string; value: boolean; onChange: (value: boolean) => void; disabled?: boolean }) {
  const id = useId();
  return (
    <div class="check">
      <input id={id} type="checkbox" checked={props.value} disabled={props.disabled ?? false} onChange={(event) => props.onChange(event.currentTarget.checked)} />
      <label for={id}>{props.label}</label>
    </div>
  );
}

/** A few choices side by side; choosing the chosen one again takes it back where `clear` is set. */
export function Choices(props: { legend: string; hideLegend?: boolean; value: string; options: readonly Option[]; onChange: (value: string) => void; clear?: boolean }) {
  const name = useId();
  return (
    <fieldset>
      <legend class={props.hideLegend ? "hidden" : "small muted"}>{props.legend}</legend>
      <div class="choices">
        {props.options.map((one) => (
          <label key={one.value} class={one.value === "unknown" ? "unset" : ""}>
            <input
              type="radio"
              name={name}
              value={one.value}
              checked={props.value === one.value}
              onClick={() => props.clear && props.value === one.value && props.onChange("")}
              onChange={() => props.onChange(one.value)}
            />
            {one.label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** Yes, no or not known: unknown stays unknown until somebody says. */
export function YesNo(props: { label: string; value: boolean | null | undefined; onChange: (value: boolean | null) => void }) {
  const value = props.value === true ? "yes" : props.value === false ? "no" : "unknown";
  return (
    <Choices
      legend={props.label}
      value={value}
      options={[{ value: "yes", label: "Yes" }, { value: "no", label: "No" }, { value: "unknown", label: "Not known" }]}
      onChange={(text) => props.onChange(text === "yes" ? true : text === "no" ? false : null)}
    />
  );
}

export function Tag(props: { children: ComponentChildren; kind?: "good" | "bad" | "strong" | "" }) {
  return <span class={`tag ${props.kind ?? ""}`}>{props.children}</span>;
}

export function Swatch(props: { colour: string }) {
  const ref = useRef<HTMLSpanElement>(null);
  useEffect(() => ref.current?.style.setProperty("--swatch", props.colour), [props.colour]);
  return <span class="swatch" ref={ref} aria-hidden="true" />;
}

export interface Data<T> {
  value: T | null;
  error: unknown;
  loading: boolean;
  missing: boolean;
  again: () => void;
}

/** Data of a path; a new path or `version` reads it again and keeps the old value on screen meanwhile. */
export function useData<T>(path: string | null, version: unknown = ""): Data<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [loading, setLoading] = useState(path !== null);
  const [missing, setMissing] = useState(false);
  const [count, setCount] = useState(0);
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    setLoading(true);
    get<T>(path, stop.signal)
      .then((found) => { setValue(found); setError(null); setMissing(false); })
      .catch((problem: unknown) => {
        if (stop.signal.aborted) return;
        const none = problem instanceof ApiError && problem.status === 404;
        setMissing(none);
        setValue(null);
        setError(none ? null : problem);
      })
      .finally(() => { if (!stop.signal.aborted) setLoading(false); });
    return () => stop.abort();
  }, [path, version, count]);
  return { value, error, loading, missing, again: useCallback(() => setCount((n) => n + 1), []) };
}

/** What a panel shows while its data is on the way, wrong or missing; null when there is data. */
export function waiting(data: Data<unknown>, what: string): JSX.Element | null {
  if (data.value) return null;
  if (data.error) return <Trouble error={data.error} retry={data.again} />;
  if (data.loading) return <p class="muted" role="status">Reading {what}…</p>;
  return null;
}
