// What is called how, where several have one name.
import { time } from "./time.ts";
import type { Model, Running } from "./types.ts";

/** The backend of a model, where another backend has one of the same name; else undefined. */
export function backendAmong(model: Pick<Model, "name" | "backend">, all: readonly Pick<Model, "name" | "backend">[]): string | undefined {
  return all.some((one) => one.name === model.name && one.backend !== model.backend) ? model.backend : undefined;
}

/** What each exchange in flight is called where it is only heard: no two are called the same. */
export function heardAs(all: readonly Pick<Running, "model" | "backend" | "client" | "started_at">[]): string[] {
  const heard = new Map<string, number>();
  return all.map(({ model, backend, client, started_at }) => {
    const name = `${model ?? "an unknown model"}${backend ? ` on ${backend}` : ""}${client ? ` of ${client}` : ""}, since ${time(started_at)}`;
    const count = (heard.get(name) ?? 0) + 1;
    heard.set(name, count);
    return count === 1 ? name : `${name}, number ${count}`;
  });
}
