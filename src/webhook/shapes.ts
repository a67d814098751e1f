import type { EndpointSlice } from '../core/endpoint-slice.ts';
import type { Pod } from '../core/pod.ts';
import type { Configured } from '../core/validate.ts';
import { HttpError } from './http-error.ts';

/*
 * From unknown JSON to the narrow views of core/, by looking only at what is read there. Null counts as absent, as Go writes and reads it.
 * The API server has decoded the object before, so any other shape means that something else is talking to us: an HttpError 400.
 */

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown, place: string) => void;

/** A pod as `recognise` and `mutatePod` read it. */
export function podFrom(value: unknown): Pod {
  const pod = fields(value, 'object');
  const metadata = metadataOf(pod);
  const spec = fields(pod['spec'], 'object.spec');
  return {
    metadata,
    spec: {
      ...spec,
      containers: list(spec['containers'], 'object.spec.containers', container) ?? [],
      initContainers: list(spec['initContainers'], 'object.spec.initContainers', container),
      readinessGates: list(spec['readinessGates'], 'object.spec.readinessGates', gate),
    },
  } as Pod;
}

/** Annotations and labels of a pod or namespace, with its owner that decides whether a person is there to read a denial. */
export function configuredFrom(value: unknown, kind: Configured['kind']): Configured & { readonly controlled: boolean } {
  const { annotations = {}, labels = {}, ownerReferences = [] } = metadataOf(fields(value, 'object'));
  return { kind, annotations, labels, controlled: ownerReferences.some((owner) => owner.controller === true) };
}

/** An EndpointSlice as `overrideSlice` reads it. The namespace comes from the request: on CREATE the object may not have one yet. */
export function endpointSliceFrom(value: unknown, namespace: string | undefined): EndpointSlice {
  const slice = fields(value, 'object');
  const endpoints = list(slice['endpoints'], 'object.endpoints', endpoint)?.map((entry) => withoutNulls(entry as Fields));
  return { ...slice, metadata: { ...metadataOf(slice), namespace }, endpoints } as EndpointSlice;
}

function metadataOf(object: Fields): Pod['metadata'] {
  const metadata = fields(object['metadata'], 'object.metadata');
  return {
    ...metadata,
    labels: texts(metadata['labels'], 'object.metadata.labels'),
    annotations: texts(metadata['annotations'], 'object.metadata.annotations'),
    ownerReferences: list(metadata['ownerReferences'], 'object.metadata.ownerReferences', owner),
  } as Pod['metadata'];
}

function container(value: unknown, place: string): void {
  const { name, args, env } = fields(value, place);
  text(name, `${place}.name`);
  list(args, `${place}.args`, text);
  list(env, `${place}.env`, (entry, at) => {
    const variable = fields(entry, at);
    text(variable['name'], `${at}.name`);
    if (isPresent(variable['value'])) text(variable['value'], `${at}.value`);
  });
}

function gate(value: unknown, place: string): void {
  text(fields(value, place)['conditionType'], `${place}.conditionType`);
}

function owner(value: unknown, place: string): void {
  text(fields(value, place)['kind'], `${place}.kind`);
}

function endpoint(value: unknown, place: string): void {
  const { addresses, conditions, targetRef, nodeName, zone, hints } = fields(value, place);
  list(addresses, `${place}.addresses`, text);
  for (const [name, plain] of Object.entries({ nodeName, zone })) if (isPresent(plain)) text(plain, `${place}.${name}`);
  if (isPresent(conditions)) {
    for (const [name, status] of Object.entries(fields(conditions, `${place}.conditions`)))
      if (isPresent(status) && typeof status !== 'boolean') throw odd(`${place}.conditions.${name}`, 'a boolean');
  }
  if (isPresent(targetRef)) texts(targetRef, `${place}.targetRef`);
  if (isPresent(hints)) {
    for (const [name, places] of Object.entries(fields(hints, `${place}.hints`)))
      list(places, `${place}.hints.${name}`, (hint, at) => text(fields(hint, at)['name'], `${at}.name`));
  }
}

function fields(value: unknown, place: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw odd(place, 'an object');
  return value as Fields;
}

function list(value: unknown, place: string, check: Check): readonly unknown[] | undefined {
  if (!isPresent(value)) return undefined;
  if (!Array.isArray(value)) throw odd(place, 'a list');
  for (let index = 0; index < value.length; index++) check(value[index], `${place}[${index}]`);
  return value;
}

function texts(value: unknown, place: string): Readonly<Record<string, string>> | undefined {
  if (!isPresent(value)) return undefined;
  const map = fields(value, place);
  for (const entry of Object.values(map)) if (typeof entry !== 'string') throw odd(place, 'a map of strings');
  return map as Readonly<Record<string, string>>;
}

function text(value: unknown, place: string): void {
  if (typeof value !== 'string') throw odd(place, 'a string');
}

function withoutNulls(object: Fields): Fields {
  return Object.values(object).includes(null) ? Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null)) : object;
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function odd(place: string, wanted: string): HttpError {
  return new HttpError(400, `request.${place.slice(0, 200)} must be ${wanted}`);
}
